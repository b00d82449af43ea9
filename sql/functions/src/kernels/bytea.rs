//! bytea.

use super::macros::kernels;

kernels! {}
