//! A wholesale supplier after TPC-C: its tables, its five transactions, and the four conditions that always hold between its tables.
//!
//! After the specification, revision 5.11, with the tables, foreign keys and mix of sysbench-tpcc: of 23 transactions ten are new orders,
//! ten payments, and one each looks at an order, delivers, and looks at the stock. Nobody waits to think or to type. The items of an
//! order are taken in their order, so that two orders never wait for each other. It is no TPC-C result and none may be made of it.
//!
//! - [`schema`]: tables, and what is in them at first
//! - [`Desk`]: one client and its transactions
//! - [`inconsistencies`]: conditions 1 to 4 (clause 3.3.2)

mod check;
mod desk;
mod random;
pub mod schema;

pub use check::inconsistencies;
pub use desk::{Desk, Kind, Outcome};

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Warehouses, of ten districts each.
    pub warehouses: i32,
    /// Customers of a district, and orders in it at first.
    pub customers: i32,
    /// Items, each in stock in every warehouse.
    pub items: i32,
}

/// Districts of a warehouse.
pub const DISTRICTS: i32 = 10;

impl Size {
    /// As the specification has it.
    pub fn full(warehouses: i32) -> Size {
        Size {
            warehouses,
            customers: 3_000,
            items: 100_000,
        }
    }

    /// The first order of each district that is not delivered at first.
    fn first_new_order(self) -> i32 {
        self.customers * 7 / 10 + 1
    }
}
