//! What holds between the tables whenever no transaction is under way (clause 3.3.2).

use tokio_postgres::{Client, Error};

/// Each with a query whose rows are where it doesn't hold.
const CONDITIONS: [(&str, &str); 4] = [
    (
        "1: a warehouse's year is the sum of its districts'",
        "SELECT w_id, 0 FROM warehouse JOIN district ON d_w_id = w_id GROUP BY w_id, w_ytd HAVING w_ytd <> sum(d_ytd)",
    ),
    (
        "2: a district's next order follows its last, which is the last of its new ones",
        "SELECT d_w_id, d_id FROM district
         LEFT JOIN (SELECT o_w_id, o_d_id, max(o_id) AS last FROM orders GROUP BY o_w_id, o_d_id) o ON o_w_id = d_w_id AND o_d_id = d_id
         LEFT JOIN (SELECT no_w_id, no_d_id, max(no_o_id) AS new FROM new_orders GROUP BY no_w_id, no_d_id) n
             ON no_w_id = d_w_id AND no_d_id = d_id
         WHERE last IS DISTINCT FROM d_next_o_id - 1 OR new <> last",
    ),
    (
        "3: the new orders of a district follow each other",
        "SELECT no_w_id, no_d_id FROM new_orders GROUP BY no_w_id, no_d_id HAVING max(no_o_id) - min(no_o_id) + 1 <> count(*)",
    ),
    (
        "4: the orders of a district have as many lines as they say",
        "SELECT d_w_id, d_id FROM district
         LEFT JOIN (SELECT o_w_id, o_d_id, sum(o_ol_cnt) AS said FROM orders GROUP BY o_w_id, o_d_id) o ON o_w_id = d_w_id AND o_d_id = d_id
         LEFT JOIN (SELECT ol_w_id, ol_d_id, count(*) AS lines FROM order_line GROUP BY ol_w_id, ol_d_id) l
             ON ol_w_id = d_w_id AND ol_d_id = d_id
         WHERE said IS DISTINCT FROM lines",
    ),
];

/// The conditions that don't hold, and where: none, if all is well.
///
/// # Errors
/// Any SQL error.
pub async fn inconsistencies(client: &Client) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for (condition, question) in CONDITIONS {
        let rows = client
            .query(&format!("SELECT a::int, b::int FROM ({question}) AS places (a, b)"), &[])
            .await?;
        found.extend(rows.iter().map(|row| {
            let (warehouse, district): (i32, i32) = (row.get(0), row.get(1));
            format!("condition {condition}: not in warehouse {warehouse}, district {district}")
        }));
    }
    Ok(found)
}
