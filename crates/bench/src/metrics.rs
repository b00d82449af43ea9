//! Reads single numbers off Curia's `/metrics`.

use crate::Result;
use crate::peer::Peer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The sum of all series of `name`, or `None` where the server has none (PostgreSQL, or nothing recorded yet).
pub async fn read(peer: &Peer, name: &str) -> Result<Option<f64>> {
    let Some(port) = peer.http else { return Ok(None) };
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: curia\r\nConnection: close\r\n\r\n")
        .await?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await?;
    Ok(sum(&page, name))
}

fn sum(page: &str, name: &str) -> Option<f64> {
    page.lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .reduce(|a, b| a + b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_one_name_are_added_and_longer_names_left_out() {
        let page = "# TYPE a counter\na{x=\"1\"} 2\na{x=\"2\"} 3\na_total 9\n";
        assert_eq!(sum(page, "a"), Some(5.0));
        assert_eq!(sum(page, "b"), None);
    }
}
