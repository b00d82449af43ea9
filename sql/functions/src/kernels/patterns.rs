//! patterns.

use super::macros::kernels;

kernels! {}
