//! One client: the five transactions (clause 2), each in prepared statements.

use super::{DISTRICTS, Size};
use rand::{Rng, RngExt};
use std::collections::HashMap;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};

/// A kind of transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A customer orders five to fifteen items; one of a hundred orders names an item that isn't there, and is rolled back.
    NewOrder,
    /// A customer pays.
    Payment,
    /// How is a customer's last order?
    OrderStatus,
    /// The oldest new order of each district is delivered.
    Delivery,
    /// Of how many items that were ordered lately is there little left?
    StockLevel,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It committed.
    Committed,
    /// It was rolled back, as it was meant to be.
    Rejected,
    /// The server wants it to be run again (40001, 40P01).
    Aborted,
}

/// See the module's page.
#[derive(Debug)]
pub struct Desk {
    client: Client,
    size: Size,
    /// The warehouse that it is at.
    home: i32,
    begin: String,
    prepared: HashMap<String, Statement>,
}

type Parameter<'a> = &'a (dyn ToSql + Sync);

struct Line {
    item: i32,
    supplier: i16,
    quantity: i16,
}

const NEW_ORDER_LINES: std::ops::RangeInclusive<i32> = 5..=15;

impl Desk {
    /// At the warehouse of its number, transactions at this isolation level.
    pub fn new(client: Client, size: Size, number: i32, level: &str) -> Desk {
        Desk {
            client,
            size,
            home: number % size.warehouses + 1,
            begin: format!("BEGIN ISOLATION LEVEL {level}"),
            prepared: HashMap::new(),
        }
    }

    /// Runs one transaction of the mix.
    ///
    /// # Errors
    /// What isn't an [`Outcome`]; whether it has committed is not known then.
    pub async fn deal(&mut self, random: &mut impl Rng) -> Result<(Kind, Outcome), Error> {
        let kind = match random.random_range(0..23) {
            0..10 => Kind::NewOrder,
            10..20 => Kind::Payment,
            20 => Kind::OrderStatus,
            21 => Kind::Delivery,
            _ => Kind::StockLevel,
        };
        let district = random.random_range(1..=DISTRICTS);
        self.client.batch_execute(&self.begin).await?;
        let done = match kind {
            Kind::NewOrder => self.new_order(district, random).await,
            Kind::Payment => self.payment(district, random).await,
            Kind::OrderStatus => self.order_status(district, random).await,
            Kind::Delivery => self.delivery(random).await,
            Kind::StockLevel => self.stock_level(district, random).await,
        };
        let ended = match done {
            Ok(true) => self.client.batch_execute("COMMIT").await.map(|()| Outcome::Committed),
            Ok(false) => self.client.batch_execute("ROLLBACK").await.map(|()| Outcome::Rejected),
            Err(error) => {
                if !self.client.is_closed() {
                    self.client.batch_execute("ROLLBACK").await?;
                }
                Err(error)
            }
        };
        match ended {
            Ok(outcome) => Ok((kind, outcome)),
            Err(error) if again(&error) => Ok((kind, Outcome::Aborted)),
            Err(error) => Err(error),
        }
    }

    async fn statement(&mut self, text: &str) -> Result<Statement, Error> {
        if let Some(known) = self.prepared.get(text) {
            return Ok(known.clone());
        }
        let statement = self.client.prepare(text).await?;
        self.prepared.insert(text.to_owned(), statement.clone());
        Ok(statement)
    }

    async fn query(&mut self, text: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, Error> {
        let statement = self.statement(text).await?;
        self.client.query(&statement, parameters).await
    }

    async fn one(&mut self, text: &str, parameters: &[Parameter<'_>]) -> Result<Row, Error> {
        let statement = self.statement(text).await?;
        self.client.query_one(&statement, parameters).await
    }

    async fn change(&mut self, text: &str, parameters: &[Parameter<'_>]) -> Result<u64, Error> {
        let statement = self.statement(text).await?;
        self.client.execute(&statement, parameters).await
    }

    async fn new_order(&mut self, district: i32, random: &mut impl Rng) -> Result<bool, Error> {
        let customer = self.size.customer(random);
        let (w, d) = (self.home as i16, district as i16);
        let mut lines: Vec<Line> = (0..random.random_range(NEW_ORDER_LINES))
            .map(|_| {
                let abroad = self.size.warehouses > 1 && random.random_ratio(1, 100);
                let supplier = if abroad { self.other_warehouse(random) } else { self.home };
                Line {
                    item: self.size.item(random),
                    supplier: supplier as i16,
                    quantity: random.random_range(1..=10),
                }
            })
            .collect();
        lines.sort_by_key(|line| (line.supplier, line.item));
        if random.random_ratio(1, 100)
            && let Some(last) = lines.last_mut()
        {
            last.item = self.size.items + 1;
        }
        let all_local = i16::from(lines.iter().all(|line| line.supplier == w));
        let who = "SELECT c_discount::float8, c_last, c_credit, w_tax::float8 FROM customer JOIN warehouse ON w_id = c_w_id
                   WHERE c_w_id = $1 AND c_d_id = $2 AND c_id = $3";
        let row = self.one(who, &[&w, &d, &customer]).await?;
        let (discount, warehouse_tax): (f64, f64) = (row.get(0), row.get(3));
        let next = "SELECT d_next_o_id, d_tax::float8 FROM district WHERE d_w_id = $1 AND d_id = $2 FOR UPDATE";
        let row = self.one(next, &[&w, &d]).await?;
        let (order, district_tax): (i32, f64) = (row.get(0), row.get(1));
        let advance = "UPDATE district SET d_next_o_id = $3 + 1 WHERE d_w_id = $1 AND d_id = $2";
        self.change(advance, &[&w, &d, &order]).await?;
        let insert =
            "INSERT INTO orders (o_id, o_d_id, o_w_id, o_c_id, o_entry_d, o_ol_cnt, o_all_local) VALUES ($1, $2, $3, $4, now(), $5, $6)";
        self.change(insert, &[&order, &d, &w, &customer, &(lines.len() as i16), &all_local])
            .await?;
        let insert = "INSERT INTO new_orders (no_o_id, no_d_id, no_w_id) VALUES ($1, $2, $3)";
        self.change(insert, &[&order, &d, &w]).await?;
        let in_stock = format!("SELECT s_quantity, s_data, s_dist_{district:02} FROM stock WHERE s_w_id = $1 AND s_i_id = $2 FOR UPDATE");
        let mut total = 0.0;
        for (number, line) in (1i16..).zip(&lines) {
            let item = "SELECT (i_price * 100)::int, i_name, i_data FROM item WHERE i_id = $1";
            let found = self.query(item, &[&line.item]).await?;
            let Some(price) = found.first().map(|row| row.get::<_, i32>(0)) else {
                return Ok(false);
            };
            let row = self.one(&in_stock, &[&line.supplier, &line.item]).await?;
            let (quantity, place): (i16, &str) = (row.get(0), row.get(2));
            let left = match quantity - line.quantity {
                left if left >= 10 => left,
                left => left + 91,
            };
            let remote = i16::from(line.supplier != w);
            let stock =
                "UPDATE stock SET s_quantity = $3, s_ytd = s_ytd + $4::int, s_order_cnt = s_order_cnt + 1, s_remote_cnt = s_remote_cnt + $5
                         WHERE s_w_id = $1 AND s_i_id = $2";
            let ordered = i32::from(line.quantity);
            self.change(stock, &[&line.supplier, &line.item, &left, &ordered, &remote]).await?;
            let amount = price * i32::from(line.quantity);
            total += f64::from(amount);
            let insert = "INSERT INTO order_line (ol_o_id, ol_d_id, ol_w_id, ol_number, ol_i_id, ol_supply_w_id, ol_quantity, ol_amount, ol_dist_info)
                          VALUES ($1, $2, $3, $4, $5, $6, $7, $8::int * 0.01, $9)";
            let line: [Parameter<'_>; 9] = [&order, &d, &w, &number, &line.item, &line.supplier, &line.quantity, &amount, &place];
            self.change(insert, &line).await?;
        }
        std::hint::black_box(total * (1.0 - discount) * (1.0 + warehouse_tax + district_tax)); // what the customer is told
        Ok(true)
    }

    async fn payment(&mut self, district: i32, random: &mut impl Rng) -> Result<bool, Error> {
        let (w, d, amount) = (self.home as i16, district as i16, random.random_range(100..=500_000));
        let (cw, cd) = match self.size.warehouses > 1 && random.random_ratio(15, 100) {
            true => (self.other_warehouse(random) as i16, random.random_range(1..=DISTRICTS) as i16),
            false => (w, d),
        };
        let warehouse = "UPDATE warehouse SET w_ytd = w_ytd + $2::int * 0.01 WHERE w_id = $1";
        self.change(warehouse, &[&w, &amount]).await?;
        let place = "SELECT w_street_1, w_street_2, w_city, w_state, w_zip, w_name FROM warehouse WHERE w_id = $1";
        let from: String = self.one(place, &[&w]).await?.get(5);
        let district = "UPDATE district SET d_ytd = d_ytd + $3::int * 0.01 WHERE d_w_id = $1 AND d_id = $2";
        self.change(district, &[&w, &d, &amount]).await?;
        let place = "SELECT d_street_1, d_street_2, d_city, d_state, d_zip, d_name FROM district WHERE d_w_id = $1 AND d_id = $2";
        let by: String = self.one(place, &[&w, &d]).await?.get(5);
        let customer = self.choose_customer(cw, cd, random).await?;
        let who =
            "SELECT c_first, c_middle, c_last, c_street_1, c_street_2, c_city, c_state, c_zip, c_phone, c_credit, c_credit_lim::float8,
                       c_discount::float8, c_balance::float8, c_since
                   FROM customer WHERE c_w_id = $1 AND c_d_id = $2 AND c_id = $3 FOR UPDATE";
        let credit: String = self.one(who, &[&cw, &cd, &customer]).await?.get(9);
        if credit == "BC" {
            let data = "SELECT c_data FROM customer WHERE c_w_id = $1 AND c_d_id = $2 AND c_id = $3";
            let old: String = self.one(data, &[&cw, &cd, &customer]).await?.get(0);
            let new: String = format!("| {customer} {cd} {cw} {d} {w} {amount} {old}").chars().take(500).collect();
            let pay = "UPDATE customer SET c_balance = c_balance - $4::int * 0.01, c_ytd_payment = c_ytd_payment + $4::int * 0.01,
                           c_payment_cnt = c_payment_cnt + 1, c_data = $5
                       WHERE c_w_id = $1 AND c_d_id = $2 AND c_id = $3";
            self.change(pay, &[&cw, &cd, &customer, &amount, &new]).await?;
        } else {
            let pay = "UPDATE customer SET c_balance = c_balance - $4::int * 0.01, c_ytd_payment = c_ytd_payment + $4::int * 0.01,
                           c_payment_cnt = c_payment_cnt + 1
                       WHERE c_w_id = $1 AND c_d_id = $2 AND c_id = $3";
            self.change(pay, &[&cw, &cd, &customer, &amount]).await?;
        }
        let history = "INSERT INTO history (h_c_d_id, h_c_w_id, h_c_id, h_d_id, h_w_id, h_date, h_amount, h_data)
                       VALUES ($1, $2, $3, $4, $5, now(), $6::int * 0.01, $7)";
        let said = format!("{from}    {by}");
        self.change(history, &[&cd, &cw, &customer, &d, &w, &amount, &said]).await?;
        Ok(true)
    }

    async fn order_status(&mut self, district: i32, random: &mut impl Rng) -> Result<bool, Error> {
        let (w, d) = (self.home as i16, district as i16);
        let customer = self.choose_customer(w, d, random).await?;
        let who = "SELECT c_balance::float8, c_first, c_middle, c_last FROM customer WHERE c_w_id = $1 AND c_d_id = $2 AND c_id = $3";
        self.one(who, &[&w, &d, &customer]).await?;
        let last =
            "SELECT o_id, o_carrier_id, o_entry_d FROM orders WHERE o_w_id = $1 AND o_d_id = $2 AND o_c_id = $3 ORDER BY o_id DESC LIMIT 1";
        let order: i32 = self.one(last, &[&w, &d, &customer]).await?.get(0);
        let lines = "SELECT ol_i_id, ol_supply_w_id, ol_quantity, ol_amount::float8, ol_delivery_d FROM order_line
                     WHERE ol_w_id = $1 AND ol_d_id = $2 AND ol_o_id = $3";
        self.query(lines, &[&w, &d, &order]).await?;
        Ok(true)
    }

    async fn delivery(&mut self, random: &mut impl Rng) -> Result<bool, Error> {
        let (w, carrier) = (self.home as i16, random.random_range(1..=10i16));
        for d in 1..=DISTRICTS as i16 {
            let oldest = "SELECT no_o_id FROM new_orders WHERE no_w_id = $1 AND no_d_id = $2 ORDER BY no_o_id LIMIT 1 FOR UPDATE";
            let Some(order) = self.query(oldest, &[&w, &d]).await?.first().map(|row| row.get::<_, i32>(0)) else {
                continue; // all are delivered, or somebody else was faster
            };
            let take = "DELETE FROM new_orders WHERE no_w_id = $1 AND no_d_id = $2 AND no_o_id = $3";
            self.change(take, &[&w, &d, &order]).await?;
            let whose = "SELECT o_c_id FROM orders WHERE o_w_id = $1 AND o_d_id = $2 AND o_id = $3";
            let customer: i32 = self.one(whose, &[&w, &d, &order]).await?.get(0);
            let ship = "UPDATE orders SET o_carrier_id = $4 WHERE o_w_id = $1 AND o_d_id = $2 AND o_id = $3";
            self.change(ship, &[&w, &d, &order, &carrier]).await?;
            let arrive = "UPDATE order_line SET ol_delivery_d = now() WHERE ol_w_id = $1 AND ol_d_id = $2 AND ol_o_id = $3";
            self.change(arrive, &[&w, &d, &order]).await?;
            let sum = "SELECT (sum(ol_amount) * 100)::int FROM order_line WHERE ol_w_id = $1 AND ol_d_id = $2 AND ol_o_id = $3";
            let amount: i32 = self.one(sum, &[&w, &d, &order]).await?.get(0);
            let charge = "UPDATE customer SET c_balance = c_balance + $4::int * 0.01, c_delivery_cnt = c_delivery_cnt + 1
                          WHERE c_w_id = $1 AND c_d_id = $2 AND c_id = $3";
            self.change(charge, &[&w, &d, &customer, &amount]).await?;
        }
        Ok(true)
    }

    async fn stock_level(&mut self, district: i32, random: &mut impl Rng) -> Result<bool, Error> {
        let (w, d, little) = (self.home as i16, district as i16, random.random_range(10..=20i16));
        let next = "SELECT d_next_o_id FROM district WHERE d_w_id = $1 AND d_id = $2";
        let next: i32 = self.one(next, &[&w, &d]).await?.get(0);
        let count = "SELECT count(DISTINCT s_i_id) FROM order_line JOIN stock ON s_i_id = ol_i_id
                     WHERE ol_w_id = $1 AND ol_d_id = $2 AND ol_o_id < $3 AND ol_o_id >= $3 - 20 AND s_w_id = $1 AND s_quantity < $4";
        self.one(count, &[&w, &d, &next, &little]).await?;
        Ok(true)
    }

    /// Six of ten customers come by their last name: of those who have it, the one in the middle.
    async fn choose_customer(&mut self, w: i16, d: i16, random: &mut impl Rng) -> Result<i32, Error> {
        if random.random_ratio(4, 10) {
            return Ok(self.size.customer(random));
        }
        let name = self.size.name(random);
        let named = "SELECT c_id FROM customer WHERE c_w_id = $1 AND c_d_id = $2 AND c_last = $3 ORDER BY c_first";
        let found = self.query(named, &[&w, &d, &name]).await?;
        Ok(found
            .get(found.len().saturating_sub(1) / 2)
            .map_or_else(|| self.size.customer(random), |row| row.get(0)))
    }

    fn other_warehouse(&self, random: &mut impl Rng) -> i32 {
        let other = random.random_range(1..self.size.warehouses);
        if other >= self.home { other + 1 } else { other }
    }
}

fn again(error: &Error) -> bool {
    error
        .code()
        .is_some_and(|code| [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code))
}
