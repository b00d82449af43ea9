//! casts.

use super::macros::kernels;

kernels! {}
