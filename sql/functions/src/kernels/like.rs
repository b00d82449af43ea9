//! like.

use super::macros::kernels;

kernels! {}
