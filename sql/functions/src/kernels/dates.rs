//! dates.

use super::macros::kernels;

kernels! {}
