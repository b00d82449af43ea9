//! inet, cidr and macaddr: addresses of hosts and networks.

use crate::{Result, SqlError, SqlState};
use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address with the number of bits of its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Inet {
    /// The address.
    pub address: IpAddr,
    /// Bits of the network part, at most [`Inet::max_bits`].
    pub bits: u8,
}

/// PostgreSQL's families on the wire: PGSQL_AF_INET and PGSQL_AF_INET6.
const WIRE_V4: u8 = 2;
const WIRE_V6: u8 = 3;

fn invalid(name: &str, s: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("invalid input syntax for type {name}: \"{s}\""),
    )
}

fn mask(bits: u8, width: u8) -> u128 {
    let ones = |n: u8| if n == 0 { 0 } else { u128::MAX >> (128 - u32::from(n)) };
    ones(width) & !ones(width - bits.min(width))
}

impl Inet {
    /// A host's own address.
    pub fn host(address: IpAddr) -> Inet {
        let mut inet = Inet { address, bits: 0 };
        inet.bits = inet.max_bits();
        inet
    }
    /// 4 or 6.
    pub fn family(&self) -> i32 {
        if self.address.is_ipv4() { 4 } else { 6 }
    }
    /// Bits of an address of this family.
    pub fn max_bits(&self) -> u8 {
        if self.address.is_ipv4() { 32 } else { 128 }
    }
    /// The address as a number.
    pub fn number(&self) -> u128 {
        match self.address {
            IpAddr::V4(a) => u128::from(u32::from(a)),
            IpAddr::V6(a) => u128::from(a),
        }
    }
    /// The address of this family with a number; its highest bits are cut.
    pub fn with_number(&self, number: u128, bits: u8) -> Inet {
        Inet {
            address: match self.address {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(number as u32)),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
            },
            bits,
        }
    }
    /// Ones where the network part is.
    pub fn netmask(&self) -> u128 {
        mask(self.bits, self.max_bits())
    }
    /// Ones where the host part is.
    pub fn hostmask(&self) -> u128 {
        mask(self.max_bits(), self.max_bits()) & !self.netmask()
    }
    /// The network part as a number.
    pub fn network(&self) -> u128 {
        self.number() & self.netmask()
    }
    /// Whether the first `bits` bits are those of another address of the same family.
    pub fn agrees(&self, other: &Inet, bits: u8) -> bool {
        let mask = mask(bits, self.max_bits());
        self.family() == other.family() && self.number() & mask == other.number() & mask
    }

    /// Reads an inet, or a cidr: missing parts are zero, and no bit may stand beyond the network. 22P02.
    pub fn parse(s: &str, cidr: bool) -> Result<Inet> {
        let name = if cidr { "cidr" } else { "inet" };
        let bad = || invalid(name, s);
        let (text, bits) = match s.split_once('/') {
            Some((text, bits)) => (text, Some(bits)),
            None => (s, None),
        };
        let (address, given) = if text.contains(':') {
            (IpAddr::V6(text.parse().map_err(|_| bad())?), 128)
        } else {
            let mut octets = [0u8; 4];
            let mut n = 0;
            for part in text.split('.') {
                let digits = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
                let octet = if digits { part.parse().ok() } else { None };
                *octets.get_mut(n).ok_or_else(bad)? = octet.ok_or_else(bad)?;
                n += 1;
            }
            if n < 4 && !cidr && bits.is_none() {
                return Err(bad());
            }
            (IpAddr::V4(octets.into()), n as u8 * 8)
        };
        let mut inet = Inet::host(address);
        inet.bits = match bits {
            Some(bits) if bits.is_empty() || bits.len() > 3 || !bits.bytes().all(|b| b.is_ascii_digit()) => return Err(bad()),
            Some(bits) => bits.parse().ok().filter(|b| *b <= inet.max_bits()).ok_or_else(bad)?,
            // Networks of old classes.
            None if cidr && given < 32 => {
                let class = match inet.number() >> 24 {
                    240.. => 32,
                    224.. => 8,
                    192.. => 24,
                    128.. => 16,
                    _ => 8,
                };
                class.max(given)
            }
            None => inet.max_bits(),
        };
        if cidr {
            inet.check_network(s)?;
        }
        Ok(inet)
    }

    fn check_network(&self, s: &str) -> Result<()> {
        if self.number() == self.network() {
            return Ok(());
        }
        Err(
            SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("invalid cidr value: \"{s}\""))
                .detail("Value has bits set to right of mask."),
        )
    }

    /// Appends the text; a cidr always shows its bits.
    pub fn write(&self, cidr: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(self.address.to_string().as_bytes());
        if cidr || self.bits != self.max_bits() {
            out.extend_from_slice(format!("/{}", self.bits).as_bytes());
        }
    }

    /// Appends the binary form.
    pub fn encode(&self, cidr: bool, out: &mut Vec<u8>) {
        out.push(if self.address.is_ipv4() { WIRE_V4 } else { WIRE_V6 });
        out.extend_from_slice(&[self.bits, u8::from(cidr), self.max_bits() / 8]);
        match self.address {
            IpAddr::V4(a) => out.extend_from_slice(&a.octets()),
            IpAddr::V6(a) => out.extend_from_slice(&a.octets()),
        }
    }

    /// Reads the binary form; `None` when it is none.
    pub fn decode(bytes: &[u8]) -> Option<Inet> {
        let (header, address) = bytes.split_first_chunk::<4>()?;
        let address = match (header[0], header[3]) {
            (WIRE_V4, 4) => IpAddr::from(<[u8; 4]>::try_from(address).ok()?),
            (WIRE_V6, 16) => IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
            _ => return None,
        };
        let inet = Inet { address, bits: header[1] };
        (inet.bits <= inet.max_bits()).then_some(inet)
    }
}

/// By family, then network part, then its length, then the address (`network_cmp_internal`).
impl Ord for Inet {
    fn cmp(&self, other: &Inet) -> Ordering {
        let common = mask(self.bits.min(other.bits), self.max_bits());
        self.family()
            .cmp(&other.family())
            .then_with(|| (self.number() & common).cmp(&(other.number() & common)))
            .then_with(|| self.bits.cmp(&other.bits))
            .then_with(|| self.number().cmp(&other.number()))
    }
}
impl PartialOrd for Inet {
    fn partial_cmp(&self, other: &Inet) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Reads a macaddr: six pairs of hex digits apart by colons or hyphens, three and three, four and four and four, or none apart. 22P02.
pub fn parse_mac(s: &str) -> Result<[u8; 6]> {
    let bad = || invalid("macaddr", s);
    let text = s.trim();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let separators: String = text.chars().filter(|c| !c.is_ascii_hexdigit()).collect();
    let groups: Vec<usize> = text.split([':', '-', '.']).map(str::len).collect();
    let well_formed = match separators.as_str() {
        ":::::" | "-----" => groups.iter().all(|n| (1..=2).contains(n)),
        ":" | "-" => groups == [6, 6],
        ".." | "--" => groups == [4, 4, 4],
        "" => groups == [12],
        _ => false,
    };
    if !well_formed {
        return Err(bad());
    }
    let mut out = [0; 6];
    if groups.len() == 6 {
        for (byte, group) in out.iter_mut().zip(text.split([':', '-'])) {
            *byte = u8::from_str_radix(group, 16).map_err(|_| bad())?;
        }
    } else {
        for (i, byte) in out.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[i * 2..i * 2 + 2], 16).map_err(|_| bad())?;
        }
    }
    Ok(out)
}

/// Appends `08:00:2b:01:02:03`.
pub fn write_mac(mac: &[u8; 6], out: &mut Vec<u8>) {
    let text = mac.map(|b| format!("{b:02x}")).join(":");
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_print_and_order_as_postgres_does() {
        let shown = |s: &str, cidr: bool| {
            let mut out = Vec::new();
            Inet::parse(s, cidr).expect(s).write(cidr, &mut out);
            String::from_utf8(out).expect("text")
        };
        assert_eq!(shown("192.168.1.226/24", false), "192.168.1.226/24");
        assert_eq!(shown("192.168.1", true), "192.168.1.0/24");
        assert_eq!(shown("10", true), "10.0.0.0/8");
        assert_eq!(shown("10:23::ffff", false), "10:23::ffff");
        assert!(Inet::parse("192.168.1.2/30", true).is_err());
        assert!(Inet::parse("1234::1234::1234", false).is_err());
        let order = ["10.0.0.0/8", "10.0.0.0/16", "10.1.0.0/16", "11.0.0.0/8", "::1"];
        let read: Vec<Inet> = order.iter().map(|s| Inet::parse(s, false).expect(s)).collect();
        assert!(read.is_sorted());
        assert_eq!(parse_mac("0800.2b01.0203").expect("mac"), [8, 0, 0x2b, 1, 2, 3]);
    }
}
