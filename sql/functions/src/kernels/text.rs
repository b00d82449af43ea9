//! text.

use super::macros::kernels;

kernels! {}
