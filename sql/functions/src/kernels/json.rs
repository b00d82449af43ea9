//! json.

use super::macros::kernels;

kernels! {}
