//! inet, cidr and macaddr: `network.c`, `mac.c`.

use super::macros::{kernels, pure};
use crate::Kernel::{Session, Typed};
use crate::kernel::{CallTypes, Context};
use curia_types::net::Inet;
use curia_types::{Datum, PgType, Result, SqlError, SqlState, oid, text_io};
use std::cmp::Ordering;

type Mac = [u8; 6];

fn order(o: Ordering) -> i32 {
    o as i32
}
fn put(v: Inet) -> Result<Datum> {
    Ok(Datum::Inet(v))
}
fn text(s: String) -> Result<Datum> {
    Ok(Datum::text(s))
}
fn sizes(verb: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("cannot {verb} inet values of different sizes"),
    )
}
/// `a << b` when `proper`, else `a <<= b`.
fn within(a: &Inet, b: &Inet, proper: bool) -> bool {
    (a.bits > b.bits || (!proper && a.bits == b.bits)) && a.agrees(b, b.bits)
}
fn moved(a: &Inet, by: i64) -> Result<Datum> {
    let range = || SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "result is out of range");
    let moved = if by < 0 {
        a.number().checked_sub(u128::from(by.unsigned_abs()))
    } else {
        a.number().checked_add(by as u128)
    };
    let largest = if a.address.is_ipv4() { u128::from(u32::MAX) } else { u128::MAX };
    put(a.with_number(moved.filter(|n| *n <= largest).ok_or_else(range)?, a.bits))
}
fn distance(a: &Inet, b: &Inet) -> Result<Datum> {
    if a.family() != b.family() {
        return Err(sizes("subtract"));
    }
    let range = || SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "result is out of range");
    let (x, y) = (a.number(), b.number());
    let size = i64::try_from(x.abs_diff(y)).map_err(|_| range())?;
    Ok(Datum::Int8(if x < y { -size } else { size }))
}
fn bitwise(a: &Inet, b: &Inet, verb: &str, f: fn(u128, u128) -> u128) -> Result<Datum> {
    if a.family() != b.family() {
        return Err(sizes(verb));
    }
    put(a.with_number(f(a.number(), b.number()), a.bits.max(b.bits)))
}
fn masked(a: &Inet, bits: i32, cidr: bool) -> Result<Datum> {
    let bits = if bits == -1 { i32::from(a.max_bits()) } else { bits };
    let bits = u8::try_from(bits)
        .ok()
        .filter(|b| *b <= a.max_bits())
        .ok_or_else(|| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid mask length: {bits}")))?;
    let new = Inet { bits, ..*a };
    put(if cidr { new.with_number(new.network(), bits) } else { new })
}
fn merge(a: &Inet, b: &Inet) -> Result<Datum> {
    if a.family() != b.family() {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "cannot merge addresses from different families",
        ));
    }
    let mut bits = a.bits.min(b.bits);
    while !a.agrees(b, bits) {
        bits -= 1;
    }
    masked(a, i32::from(bits), true)
}
fn show(_: &dyn Context, types: &CallTypes<'_>, args: &[Datum]) -> Result<Datum> {
    let Datum::Inet(a) = &args[0] else { return Ok(Datum::Null) };
    let cidr = types.args.first().is_some_and(|t| t.oid == oid::CIDR);
    let mut out = Vec::new();
    a.write(cidr, &mut out);
    if !cidr && a.bits == a.max_bits() {
        out.extend_from_slice(format!("/{}", a.bits).as_bytes());
    }
    text(String::from_utf8_lossy(&out).into_owned())
}
fn shown(ty: PgType, a: &Inet) -> Result<Datum> {
    text(text_io::to_string(ty, &Datum::Inet(*a), &curia_types::IoContext::default()))
}
/// `abbrev(cidr)`: octets of zeros at the end are left out.
fn abbreviated(a: &Inet) -> Result<Datum> {
    let std::net::IpAddr::V4(v4) = a.address else {
        return shown(PgType::with_typmod(oid::CIDR, -1), a);
    };
    let keep = usize::from(a.bits.div_ceil(8)).max(1);
    let octets: Vec<String> = v4.octets()[..keep].iter().map(u8::to_string).collect();
    text(format!("{}/{}", octets.join("."), a.bits))
}
fn zip(a: Mac, b: Mac, f: fn(u8, u8) -> u8) -> Result<Datum> {
    Ok(Datum::Mac(std::array::from_fn(|i| f(a[i], b[i]))))
}

kernels! {
    "network_eq" = pure!(|a: &Inet, b: &Inet| -> Bool a == b);
    "network_ne" = pure!(|a: &Inet, b: &Inet| -> Bool a != b);
    "network_lt" = pure!(|a: &Inet, b: &Inet| -> Bool a < b);
    "network_le" = pure!(|a: &Inet, b: &Inet| -> Bool a <= b);
    "network_gt" = pure!(|a: &Inet, b: &Inet| -> Bool a > b);
    "network_ge" = pure!(|a: &Inet, b: &Inet| -> Bool a >= b);
    "network_cmp" = pure!(|a: &Inet, b: &Inet| -> Int4 order(a.cmp(b)));
    "network_larger" = pure!(|a: &Inet, b: &Inet| ? put(*a.max(b)));
    "network_smaller" = pure!(|a: &Inet, b: &Inet| ? put(*a.min(b)));
    "network_sub" = pure!(|a: &Inet, b: &Inet| -> Bool within(a, b, true));
    "network_subeq" = pure!(|a: &Inet, b: &Inet| -> Bool within(a, b, false));
    "network_sup" = pure!(|a: &Inet, b: &Inet| -> Bool within(b, a, true));
    "network_supeq" = pure!(|a: &Inet, b: &Inet| -> Bool within(b, a, false));
    "network_overlap" = pure!(|a: &Inet, b: &Inet| -> Bool a.agrees(b, a.bits.min(b.bits)));
    "inetnot" = pure!(|a: &Inet| ? put(a.with_number(!a.number(), a.bits)));
    "inetand" => pure!(|a: &Inet, b: &Inet| ? bitwise(a, b, "AND", |x, y| x & y));
    "inetor" => pure!(|a: &Inet, b: &Inet| ? bitwise(a, b, "OR", |x, y| x | y));
    "inetpl" => pure!(|a: &Inet, n: i64| ? moved(a, n));
    "int8pl_inet(bigint,inet)" => pure!(|n: i64, a: &Inet| ? moved(a, n));
    "inetmi_int8" => pure!(|a: &Inet, n: i64| ? moved(a, n.checked_neg().ok_or_else(|| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "result is out of range"))?));
    "inetmi" => pure!(|a: &Inet, b: &Inet| ? distance(a, b));
    "network_family" = pure!(|a: &Inet| -> Int4 a.family());
    "network_masklen" = pure!(|a: &Inet| -> Int4 i32::from(a.bits));
    "network_network" = pure!(|a: &Inet| ? put(a.with_number(a.network(), a.bits)));
    "network_netmask" = pure!(|a: &Inet| ? put(a.with_number(a.netmask(), a.max_bits())));
    "network_hostmask" = pure!(|a: &Inet| ? put(a.with_number(a.hostmask(), a.max_bits())));
    "network_broadcast" = pure!(|a: &Inet| ? put(a.with_number(a.number() | a.hostmask(), a.bits)));
    "network_host" = pure!(|a: &Inet| ? text(a.address.to_string()));
    "network_show" = Typed(show);
    "inet_abbrev" = pure!(|a: &Inet| ? shown(PgType::with_typmod(oid::INET, -1), a));
    "cidr_abbrev" = pure!(|a: &Inet| ? abbreviated(a));
    "inet_set_masklen" => pure!(|a: &Inet, n: i32| ? masked(a, n, false));
    "cidr_set_masklen" => pure!(|a: &Inet, n: i32| ? masked(a, n, true));
    "inet_to_cidr" = pure!(|a: &Inet| ? put(a.with_number(a.network(), a.bits)));
    "inet_same_family" = pure!(|a: &Inet, b: &Inet| -> Bool a.family() == b.family());
    "inet_merge" => pure!(|a: &Inet, b: &Inet| ? merge(a, b));
    "inet_client_addr" => Session;
    "inet_server_addr" => Session;
    "macaddr_eq" = pure!(|a: Mac, b: Mac| -> Bool a == b);
    "macaddr_ne" = pure!(|a: Mac, b: Mac| -> Bool a != b);
    "macaddr_lt" = pure!(|a: Mac, b: Mac| -> Bool a < b);
    "macaddr_le" = pure!(|a: Mac, b: Mac| -> Bool a <= b);
    "macaddr_gt" = pure!(|a: Mac, b: Mac| -> Bool a > b);
    "macaddr_ge" = pure!(|a: Mac, b: Mac| -> Bool a >= b);
    "macaddr_cmp" = pure!(|a: Mac, b: Mac| -> Int4 order(a.cmp(&b)));
    "macaddr_not" = pure!(|a: Mac| ? zip(a, a, |x, _| !x));
    "macaddr_and" = pure!(|a: Mac, b: Mac| ? zip(a, b, |x, y| x & y));
    "macaddr_or" = pure!(|a: Mac, b: Mac| ? zip(a, b, |x, y| x | y));
    "macaddr_trunc" = pure!(|a: Mac| -> Mac [a[0], a[1], a[2], 0, 0, 0]);
}
