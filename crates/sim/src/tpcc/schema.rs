//! The tables and their first contents (clauses 1.3 and 4.3.3).

use super::random::{digits, letters};
use super::{DISTRICTS, Size};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use std::fmt::Write;
use tokio_postgres::{Client, Error};

/// Without foreign keys, which come when everything is loaded.
const TABLES: &str = "
CREATE TABLE warehouse (w_id int2 PRIMARY KEY, w_name varchar(10), w_street_1 varchar(20), w_street_2 varchar(20), w_city varchar(20),
    w_state char(2), w_zip char(9), w_tax decimal(4,4), w_ytd decimal(12,2));
CREATE TABLE district (d_id int2, d_w_id int2, d_name varchar(10), d_street_1 varchar(20), d_street_2 varchar(20), d_city varchar(20),
    d_state char(2), d_zip char(9), d_tax decimal(4,4), d_ytd decimal(12,2), d_next_o_id int, PRIMARY KEY (d_w_id, d_id));
CREATE TABLE customer (c_id int, c_d_id int2, c_w_id int2, c_first varchar(16), c_middle char(2), c_last varchar(16),
    c_street_1 varchar(20), c_street_2 varchar(20), c_city varchar(20), c_state char(2), c_zip char(9), c_phone char(16),
    c_since timestamp, c_credit char(2), c_credit_lim decimal(12,2), c_discount decimal(4,4), c_balance decimal(12,2),
    c_ytd_payment decimal(12,2), c_payment_cnt int2, c_delivery_cnt int2, c_data text, PRIMARY KEY (c_w_id, c_d_id, c_id));
CREATE TABLE history (h_c_id int, h_c_d_id int2, h_c_w_id int2, h_d_id int2, h_w_id int2, h_date timestamp, h_amount decimal(6,2),
    h_data varchar(24));
CREATE TABLE orders (o_id int, o_d_id int2, o_w_id int2, o_c_id int, o_entry_d timestamp, o_carrier_id int2, o_ol_cnt int2,
    o_all_local int2, PRIMARY KEY (o_w_id, o_d_id, o_id));
CREATE TABLE new_orders (no_o_id int, no_d_id int2, no_w_id int2, PRIMARY KEY (no_w_id, no_d_id, no_o_id));
CREATE TABLE order_line (ol_o_id int, ol_d_id int2, ol_w_id int2, ol_number int2, ol_i_id int, ol_supply_w_id int2,
    ol_delivery_d timestamp, ol_quantity int2, ol_amount decimal(6,2), ol_dist_info char(24),
    PRIMARY KEY (ol_w_id, ol_d_id, ol_o_id, ol_number));
CREATE TABLE stock (s_i_id int, s_w_id int2, s_quantity int2, s_dist_01 char(24), s_dist_02 char(24), s_dist_03 char(24),
    s_dist_04 char(24), s_dist_05 char(24), s_dist_06 char(24), s_dist_07 char(24), s_dist_08 char(24), s_dist_09 char(24),
    s_dist_10 char(24), s_ytd decimal(8,0), s_order_cnt int2, s_remote_cnt int2, s_data varchar(50), PRIMARY KEY (s_w_id, s_i_id));
CREATE TABLE item (i_id int PRIMARY KEY, i_im_id int, i_name varchar(24), i_price decimal(5,2), i_data varchar(50));";

const INDEXES_AND_KEYS: &str = "
CREATE INDEX idx_customer ON customer (c_w_id, c_d_id, c_last, c_first);
CREATE INDEX idx_orders ON orders (o_w_id, o_d_id, o_c_id, o_id);
CREATE INDEX fkey_stock_2 ON stock (s_i_id);
CREATE INDEX fkey_order_line_2 ON order_line (ol_supply_w_id, ol_i_id);
CREATE INDEX fkey_history_1 ON history (h_c_w_id, h_c_d_id, h_c_id);
CREATE INDEX fkey_history_2 ON history (h_w_id, h_d_id);
ALTER TABLE district ADD FOREIGN KEY (d_w_id) REFERENCES warehouse;
ALTER TABLE customer ADD FOREIGN KEY (c_w_id, c_d_id) REFERENCES district;
ALTER TABLE history ADD FOREIGN KEY (h_c_w_id, h_c_d_id, h_c_id) REFERENCES customer, ADD FOREIGN KEY (h_w_id, h_d_id) REFERENCES district;
ALTER TABLE orders ADD FOREIGN KEY (o_w_id, o_d_id, o_c_id) REFERENCES customer;
ALTER TABLE new_orders ADD FOREIGN KEY (no_w_id, no_d_id, no_o_id) REFERENCES orders;
ALTER TABLE stock ADD FOREIGN KEY (s_w_id) REFERENCES warehouse, ADD FOREIGN KEY (s_i_id) REFERENCES item;
ALTER TABLE order_line ADD FOREIGN KEY (ol_w_id, ol_d_id, ol_o_id) REFERENCES orders,
    ADD FOREIGN KEY (ol_supply_w_id, ol_i_id) REFERENCES stock;
ANALYZE;";

/// All of them; those before others that refer to them come later.
const NAMES: &str = "new_orders, order_line, history, orders, customer, stock, item, district, warehouse";
/// The day on which everything began, for rows whose time doesn't matter.
const DAY: &str = "2026-01-01 00:00:00";
/// Rows go out in pieces of about so many bytes.
const PIECE: usize = 256 << 10;

/// Makes the tables anew and fills them. The server's work is one transaction for each table, so a full size takes no more
/// memory than one of its tables.
///
/// # Errors
/// Any SQL error.
pub async fn load(client: &Client, size: Size, random: &mut impl Rng) -> Result<(), Error> {
    client.batch_execute(&format!("DROP TABLE IF EXISTS {NAMES}")).await?;
    client.batch_execute(TABLES).await?;
    let mut rows = Rows::default();
    for item in 1..=size.items {
        let (name, price, data) = (letters(random, 14, 24), random.random_range(100..=10_000), data(random));
        rows.add(format_args!("{item},{},{name},{},{data}", item % 10_000 + 1, cents(price)));
    }
    rows.copy(client, "item").await?;
    for warehouse in 1..=size.warehouses {
        rows.add(format_args!("{warehouse},{},{},300000.00", place(random), tax(random)));
    }
    rows.copy(client, "warehouse").await?;
    for warehouse in 1..=size.warehouses {
        for item in 1..=size.items {
            let quantity = random.random_range(10..=100);
            let districts: Vec<String> = (0..DISTRICTS).map(|_| letters(random, 24, 24)).collect();
            let (districts, data) = (districts.join(","), data(random));
            rows.add(format_args!("{item},{warehouse},{quantity},{districts},0,0,0,{data}"));
        }
        rows.copy(client, "stock").await?;
        for district in 1..=DISTRICTS {
            let (place, tax, next) = (place(random), tax(random), size.customers + 1);
            rows.add(format_args!("{district},{warehouse},{place},{tax},30000.00,{next}"));
        }
        rows.copy(client, "district").await?;
        for district in 1..=DISTRICTS {
            fill(client, size, warehouse, district, &mut rows, random).await?;
        }
    }
    client.batch_execute(INDEXES_AND_KEYS).await
}

/// Customers and orders of one district.
async fn fill(client: &Client, size: Size, warehouse: i32, district: i32, rows: &mut Rows, random: &mut impl Rng) -> Result<(), Error> {
    let key = format!("{district},{warehouse}");
    for customer in 1..=size.customers {
        let (first, last, place) = (letters(random, 8, 16), size.name_of(random, customer), place(random));
        let place = place.split_once(',').map_or("", |(_, address)| address);
        let (phone, credit) = (digits(random, 16), if random.random_ratio(1, 10) { "BC" } else { "GC" });
        let (discount, data) = (random.random_range(0..=5_000), letters(random, 300, 500));
        rows.add(format_args!(
            "{customer},{key},{first},OE,{last},{place},{phone},{DAY},{credit},50000.00,0.{discount:04},-10.00,10.00,1,0,{data}"
        ));
    }
    rows.copy(client, "customer").await?;
    for customer in 1..=size.customers {
        let data = letters(random, 12, 24);
        rows.add(format_args!("{customer},{key},{key},{DAY},10.00,{data}"));
    }
    rows.copy(client, "history").await?;
    // Each customer has one order at first.
    let mut customers: Vec<i32> = (1..=size.customers).collect();
    customers.shuffle(random);
    let mut lines = Rows::default();
    for (order, customer) in (1..).zip(customers) {
        let (new, count) = (order >= size.first_new_order(), random.random_range(5..=15));
        let carrier = if new {
            String::new()
        } else {
            random.random_range(1..=10).to_string()
        };
        rows.add(format_args!("{order},{key},{customer},{DAY},{carrier},{count},1"));
        for line in 1..=count {
            let item = random.random_range(1..=size.items);
            let delivered = if new { "" } else { DAY };
            let amount = if new {
                cents(random.random_range(1..=999_999))
            } else {
                "0.00".to_owned()
            };
            let place = letters(random, 24, 24);
            lines.add(format_args!(
                "{order},{key},{line},{item},{warehouse},{delivered},5,{amount},{place}"
            ));
        }
    }
    rows.copy(client, "orders").await?;
    lines.copy(client, "order_line").await?;
    for order in size.first_new_order()..=size.customers {
        rows.add(format_args!("{order},{key}"));
    }
    rows.copy(client, "new_orders").await
}

/// A name and an address.
fn place(random: &mut impl Rng) -> String {
    let name = letters(random, 6, 10);
    let streets = [letters(random, 10, 20), letters(random, 10, 20), letters(random, 10, 20)].join(",");
    format!("{name},{streets},{},{}11111", letters(random, 2, 2), digits(random, 4))
}

fn tax(random: &mut impl Rng) -> String {
    format!("0.{:04}", random.random_range(0..=2_000))
}

/// One of ten says that it is an original.
fn data(random: &mut impl Rng) -> String {
    let text = letters(random, 26, 42);
    if random.random_ratio(1, 10) {
        format!("{text}ORIGINAL")
    } else {
        text
    }
}

fn cents(amount: i32) -> String {
    format!("{}.{:02}", amount / 100, amount % 100)
}

/// Rows in CSV.
#[derive(Default)]
struct Rows(String);

impl Rows {
    fn add(&mut self, row: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.0, "{row}"); // a string takes everything
    }

    /// Into a table, which is all of them; none are left.
    async fn copy(&mut self, client: &Client, table: &str) -> Result<(), Error> {
        let sink = client.copy_in(&format!("COPY {table} FROM STDIN (FORMAT csv)")).await?;
        let mut sink = std::pin::pin!(sink);
        let bytes = bytes::Bytes::from(std::mem::take(&mut self.0));
        let pieces = (0..bytes.len()).step_by(PIECE);
        for piece in pieces {
            let bytes = bytes.slice(piece..bytes.len().min(piece + PIECE));
            futures::SinkExt::send(&mut sink, bytes).await?;
        }
        sink.finish().await.map(|_| ())
    }
}
