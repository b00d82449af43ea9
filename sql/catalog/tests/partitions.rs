//! Where rows of partitioned tables belong, which bounds overlap, and hashes equal to PostgreSQL's.

#![allow(clippy::unwrap_used)] // what cannot be set up fails the test

use curia_catalog::partition::{
    Bound, Edge, PartitionBound, PartitionColumn, PartitionKey, PartitionStrategy, Partitions, RangeEdge, hash,
};
use curia_catalog::{Catalog, Change, Column, KeyOf, Origin, StorageId, Table, codec};
use curia_types::{Datum, IoContext, PgType, oid, text_io};

fn table(oid: u32, types: &[PgType]) -> Table {
    let columns = types.iter().enumerate().map(|(i, ty)| Column {
        attnum: i as i16 + 1,
        name: format!("c{i}"),
        ty: *ty,
        not_null: false,
        default: None,
        generated: false,
        missing: None,
        identity: None,
        dropped: false,
        origin: Origin::default(),
    });
    Table {
        oid,
        schema: 2_200,
        name: format!("t{oid}"),
        owner: 10,
        row_type: oid + 1,
        row_array: oid + 2,
        columns: columns.collect(),
        storage: StorageId(oid),
        row_key: Vec::new(),
        indexes: Vec::new(),
        constraints: Vec::new(),
        on_commit: None,
        materialized: None,
        parents: Vec::new(),
        partition_key: None,
        partition_bound: None,
    }
}

/// A partitioned table 1000 over `types`, its partitions 2000, 2010, .. with these bounds.
fn divided(strategy: PartitionStrategy, types: &[PgType], bounds: &[PartitionBound]) -> (Catalog, Partitions) {
    let mut catalog = Catalog::default();
    let mut parent = table(1_000, types);
    let columns = (0..types.len()).map(|i| PartitionColumn {
        of: KeyOf::Column(i),
        collation: None,
        opclass: None,
    });
    parent.partition_key = Some(PartitionKey {
        strategy,
        columns: columns.collect(),
    });
    catalog.apply(&Change::put(parent.clone()));
    for (i, bound) in bounds.iter().enumerate() {
        let mut part = table(2_000 + 10 * i as u32, types);
        part.parents = vec![1_000];
        part.partition_bound = Some(bound.clone());
        catalog.apply(&Change::put(part));
    }
    let partitions = parent.partitions(&catalog).unwrap().unwrap();
    (catalog, partitions)
}

fn list(values: &[Option<&str>]) -> PartitionBound {
    PartitionBound::List(values.iter().map(|v| v.map(str::to_owned)).collect())
}

fn edge(text: &str) -> RangeEdge {
    match text {
        "min" => RangeEdge::MinValue,
        "max" => RangeEdge::MaxValue,
        value => RangeEdge::Value(value.to_owned()),
    }
}

fn range(from: &[&str], to: &[&str]) -> PartitionBound {
    PartitionBound::Range {
        from: from.iter().map(|t| edge(t)).collect(),
        to: to.iter().map(|t| edge(t)).collect(),
    }
}

fn ints(values: &[i32]) -> Vec<Datum> {
    values.iter().map(|n| Datum::Int4(*n)).collect()
}

#[test]
fn a_listed_value_goes_to_its_partition_and_any_other_to_the_default_one() {
    let bounds = [list(&[Some("5"), Some("1")]), list(&[Some("3"), None])];
    let (_, without) = divided(PartitionStrategy::List, &[PgType::INT4], &bounds);
    assert_eq!(without.route(&ints(&[1])), Some(2_000));
    assert_eq!(without.route(&ints(&[3])), Some(2_010));
    assert_eq!(without.route(&[Datum::Null]), Some(2_010));
    assert_eq!(without.route(&ints(&[4])), None);
    let with = [bounds[0].clone(), bounds[1].clone(), PartitionBound::Default];
    let (_, with) = divided(PartitionStrategy::List, &[PgType::INT4], &with);
    assert_eq!(with.route(&ints(&[4])), Some(2_020));
    assert_eq!(with.overlapped(&Bound::List(vec![Datum::Int4(4), Datum::Null])), Some((2_010, 1)));
    assert_eq!(with.overlapped(&Bound::Default), Some((2_020, 0)));
}

#[test]
fn a_range_takes_its_lower_end_and_not_its_upper_one() {
    let bounds = [
        range(&["1", "10"], &["1", "20"]),
        range(&["1", "min"], &["1", "10"]),
        range(&["1", "20"], &["2", "min"]),
        range(&["7", "max"], &["max", "0"]),
    ];
    let (_, parts) = divided(PartitionStrategy::Range, &[PgType::INT4, PgType::INT4], &bounds);
    for (key, place) in [
        ([0, 5], None),
        ([1, i32::MIN], Some(2_010)),
        ([1, 9], Some(2_010)),
        ([1, 10], Some(2_000)),
        ([1, 20], Some(2_020)),
        ([1, i32::MAX], Some(2_020)),
        ([2, i32::MIN], None),
        ([7, i32::MAX], None),
        ([8, 0], Some(2_030)),
    ] {
        assert_eq!(parts.route(&ints(&key)), place, "{key:?}");
    }
    assert_eq!(parts.route(&[Datum::Int4(1), Datum::Null]), None);
    let value = |n| Edge::Value(Datum::Int4(n));
    let new = |from: [Edge; 2], to: [Edge; 2]| Bound::Range {
        from: from.to_vec(),
        to: to.to_vec(),
    };
    assert_eq!(parts.overlapped(&new([value(2), Edge::Min], [value(7), Edge::Max])), None);
    assert_eq!(
        parts.overlapped(&new([value(1), value(15)], [value(1), value(16)])),
        Some((2_000, 0))
    );
    assert_eq!(
        parts.overlapped(&new([value(3), Edge::Min], [Edge::Max, Edge::Max])),
        Some((2_030, 0))
    );
}

#[test]
fn one_hash_partition_of_each_remainder_takes_a_row() {
    let of = |modulus, remainder| PartitionBound::Hash { modulus, remainder };
    let (_, parts) = divided(PartitionStrategy::Hash, &[PgType::INT4], &[of(2, 0), of(4, 1), of(8, 3), of(8, 7)]);
    for n in 0..1_000 {
        let hash = hash::row_hash(&[PgType::INT4], &ints(&[n]));
        let place = parts.route(&ints(&[n])).unwrap();
        let remainder = match place {
            2_000 => hash % 2,
            2_010 => hash % 4 - 1,
            2_020 => hash % 8 - 3,
            _ => hash % 8 - 7,
        };
        assert_eq!(remainder, 0);
    }
    assert_eq!(parts.overlapped(&Bound::Hash { modulus: 16, remainder: 9 }), Some((2_010, 0)));
}

#[test]
fn hashes_are_postgresqls() {
    // hash..extended(value, 8816678312871386365) of PostgreSQL 15, as one column of a key combines it.
    for (ty, text, expected) in [
        (oid::INT4, "42", 7_363_975_540_656_877_951i64),
        (oid::INT2, "-7", -7_298_374_200_968_567_817),
        (oid::INT8, "-12345678901", -1_503_055_841_428_415_479),
        (oid::TEXT, "a text of more than twelve bytes", 7_477_694_688_522_506_344),
        (oid::TEXT, "", -5_700_645_584_453_517_373),
        (oid::BPCHAR, "ab   ", 596_009_030_900_183_869),
        (oid::NUMERIC, "-1234000.5600", -6_372_638_129_860_977_264),
        (oid::NUMERIC, "0.00", 8_816_678_312_871_386_364),
        (oid::NUMERIC, "0.00001234", -2_774_888_703_668_022_859),
        (oid::FLOAT8, "1.5", -2_826_383_321_045_882_978),
        (oid::FLOAT4, "0.1", -6_747_671_251_798_447_639),
        (oid::BOOL, "t", 5_968_994_663_651_403_477),
        (oid::INTERVAL, "1 mon 3 days -1 sec", -8_355_534_384_917_728_410),
        (oid::UUID, "00112233-4455-6677-8899-aabbccddeeff", -8_699_738_442_285_490_013),
        (oid::INT4_ARRAY, "{1,NULL,3}", -7_260_320_992_586_660_406),
        (oid::TIMETZ, "10:00:00+02", 5_782_101_490_548_098_875),
        (oid::DATE, "2020-01-01", -3_078_580_042_271_029_453),
    ] {
        let ty = PgType::with_typmod(ty, -1);
        assert!(hash::hashable(ty), "{text}");
        let value = text_io::parse(ty, text, &IoContext::default()).unwrap();
        let combined = (expected as u64).wrapping_add(0x49a0_f4dd_15e5_a8e3);
        assert_eq!(hash::row_hash(&[ty], &[value]), combined, "{text}");
    }
}

#[test]
fn families_are_known_from_both_sides_and_forgotten_with_their_members() {
    let (mut catalog, _) = divided(
        PartitionStrategy::List,
        &[PgType::INT4],
        &[list(&[Some("1")]), PartitionBound::Default],
    );
    let mut below = table(3_000, &[PgType::INT4]);
    below.parents = vec![2_010];
    below.partition_bound = Some(PartitionBound::Default);
    catalog.apply(&Change::put(below.clone()));
    assert_eq!(catalog.family(1_000), [1_000, 2_000, 2_010, 3_000]);
    assert_eq!(catalog.ancestors(3_000), [2_010, 1_000]);
    assert_eq!(catalog.partition_root(3_000), 1_000);
    below.parents.clear();
    below.partition_bound = None;
    catalog.apply(&Change::put(below));
    assert_eq!(catalog.descendants(1_000), [2_000, 2_010]);
    assert!(!catalog.has_children(2_010));
}

#[test]
fn a_stored_partition_is_these_bytes() {
    let (catalog, _) = divided(PartitionStrategy::Range, &[PgType::INT4], &[range(&["min"], &["7"])]);
    let stored = |oid: &u32| String::from_utf8(codec::encode(&(*catalog.tables[oid]).clone().into()).unwrap()).unwrap();
    let parent = r#""constraints":[],"partition_key":{"strategy":"Range","columns":[{"column":0}]}}}"#;
    assert!(stored(&1_000).ends_with(parent), "{}", stored(&1_000));
    let part = r#""constraints":[],"parents":[1000],"partition_bound":{"Range":{"from":["MinValue"],"to":[{"Value":"7"}]}}}}"#;
    assert!(stored(&2_000).ends_with(part), "{}", stored(&2_000));
}
