//! arrays.

use super::macros::kernels;

kernels! {}
