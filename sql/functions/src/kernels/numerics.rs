//! numerics.

use super::macros::kernels;

kernels! {}
