//! Window functions: declared here, computed by the executor.

use super::macros::kernels;
use crate::Kernel::Window;
use crate::WindowFunction::*;

kernels! {
    "window_row_number" = Window(RowNumber);
    "window_rank" = Window(Rank);
    "window_dense_rank" = Window(DenseRank);
    "window_percent_rank" = Window(PercentRank);
    "window_cume_dist" = Window(CumeDist);
    "window_ntile" => Window(Ntile);
    "window_lag" = Window(Lag);
    "window_lag_with_offset" = Window(Lag);
    "window_lag_with_offset_and_default" = Window(Lag);
    "window_lead" = Window(Lead);
    "window_lead_with_offset" = Window(Lead);
    "window_lead_with_offset_and_default" = Window(Lead);
    "window_first_value" = Window(FirstValue);
    "window_last_value" = Window(LastValue);
    "window_nth_value" => Window(NthValue);
}
