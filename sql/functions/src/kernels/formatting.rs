//! formatting.

use super::macros::kernels;

kernels! {}
