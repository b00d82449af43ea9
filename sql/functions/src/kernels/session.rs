//! session.

use super::macros::kernels;

kernels! {}
