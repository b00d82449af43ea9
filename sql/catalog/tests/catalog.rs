//! Catalog rows as bytes, names as PostgreSQL makes them, versions that change.

use curia_catalog::lookup::{FIRST_ROLE, PUBLIC, choose_name, make_object_name};
use curia_catalog::privilege::list;
use curia_catalog::{
    AclItem, Catalog, Change, Class, Column, Comment, Constraint, ConstraintKind, DefaultPrivileges, EnumLabel, Identity, Index, IndexKey,
    Kind, Membership, Object, ObjectKey, Origin, Partition, Privileges, Relation, Rights, Role, Schema, Sequence, StartSettings, StorageId,
    Table, Type, TypeKind, View, ViewColumn, ViewRelation, codec,
};
use curia_types::PgType;
use std::sync::Arc;

fn table() -> Table {
    Table {
        oid: 16_384,
        schema: 2_200,
        name: "t".to_owned(),
        owner: 10,
        row_type: 16_385,
        row_array: 0,
        columns: vec![Column {
            attnum: 1,
            name: "a".to_owned(),
            ty: PgType::with_typmod(1043, 14),
            not_null: true,
            default: Some("'x'::character varying".to_owned()),
            generated: false,
            missing: None,
            identity: Some(Identity::ByDefault),
            dropped: false,
            origin: Origin::default(),
        }],
        storage: StorageId(1024),
        row_key: vec![0],
        indexes: vec![Index {
            oid: 16_386,
            name: "t_pkey".to_owned(),
            storage: None,
            keys: vec![IndexKey::column(0)],
            unique: true,
            primary: true,
            ..Default::default()
        }],
        constraints: vec![Constraint::new(
            16_387,
            "t_pkey".to_owned(),
            ConstraintKind::Unique {
                index: 16_386,
                primary: true,
            },
        )],
        on_commit: None,
        materialized: None,
        parents: Vec::new(),
        partition_key: None,
        partition_bound: None,
    }
}

#[test]
fn a_stored_table_is_these_bytes() {
    let stored = codec::encode(&table().into()).unwrap();
    let golden = concat!(
        "\x01",
        r#"{"Table":{"oid":16384,"schema":2200,"name":"t","owner":10,"row_type":16385,"columns":[{"attnum":1,"name":"a","#,
        r#""ty":[1043,14],"not_null":true,"default":"'x'::character varying","missing":null,"identity":"ByDefault","dropped":false}],"#,
        r#""storage":1024,"row_key":[0],"indexes":[{"oid":16386,"name":"t_pkey","storage":null,"#,
        r#""keys":[{"column":0,"descending":false,"nulls_first":false}],"unique":true,"primary":true}],"#,
        r#""constraints":[{"oid":16387,"name":"t_pkey","kind":{"Unique":{"index":16386,"primary":true}}}]}}"#,
    );
    assert_eq!(String::from_utf8(stored).unwrap(), golden);
    assert_eq!(codec::decode(golden.as_bytes()).unwrap(), Object::from(table()));
}

#[test]
fn every_kind_of_object_reads_back() {
    let sequence = Sequence {
        oid: 16_390,
        schema: 2_200,
        name: "s".to_owned(),
        owner: 10,
        ty: PgType::INT8,
        start: 1,
        increment: -1,
        min: i64::MIN,
        max: -1,
        cache: 1,
        cycle: true,
        owned_by: Some((16_384, 1)),
        storage: StorageId(1030),
    };
    let objects: Vec<Object> = vec![
        Schema {
            oid: 2_200,
            name: "public".to_owned(),
            owner: 10,
        }
        .into(),
        table().into(),
        sequence.into(),
        Role {
            oid: 10,
            name: "curia".to_owned(),
            superuser: true,
            login: true,
            password: Some("SCRAM-SHA-256$..".to_owned()),
            create_role: true,
            connection_limit: 3,
            valid_until: Some(7),
            member_of: vec![Membership {
                role: 6181,
                grantor: 10,
                admin: true,
            }],
            ..Role::default()
        }
        .into(),
        Privileges {
            object: 16_384,
            attnum: -1,
            items: vec![AclItem {
                grantee: 0,
                grantor: 10,
                rights: Rights::SELECT | Rights::UPDATE,
                options: Rights::SELECT,
            }],
        }
        .into(),
        DefaultPrivileges {
            oid: 16_500,
            role: 10,
            schema: 2_200,
            kind: Kind::Relation,
            items: vec![AclItem::new(0, 10, Rights::INSERT)],
        }
        .into(),
        StartSettings {
            role: 10,
            database: 5,
            settings: vec![("work_mem".to_owned(), "8MB".to_owned())],
        }
        .into(),
        curia_catalog::Database {
            oid: 5,
            name: "curia".to_owned(),
            owner: 10,
        }
        .into(),
        Partition {
            storage: StorageId(1024),
            group: 3,
        }
        .into(),
        View {
            oid: 16_391,
            schema: 2_200,
            name: "v".to_owned(),
            owner: 10,
            row_type: 16_392,
            row_array: 0,
            columns: vec![ViewColumn {
                name: "n".to_owned(),
                ty: PgType::INT8,
                default: None,
            }],
            query: "select count(*) n from public.t".to_owned(),
            relations: vec![ViewRelation {
                schema: Some("public".to_owned()),
                name: "t".to_owned(),
                oid: 16_384,
                columns: vec![(1, "id".to_owned())],
                used: Vec::new(),
            }],
            options: Vec::new(),
        }
        .into(),
        Comment {
            object: 16_384,
            attnum: 1,
            text: "an \"a\" é".to_owned(),
        }
        .into(),
    ];
    for object in objects {
        let key = codec::encode_key(object.key());
        assert_eq!(codec::decode_key(&key).unwrap(), object.key());
        assert_eq!(codec::decode(&codec::encode(&object).unwrap()).unwrap(), object);
    }
}

#[test]
fn a_key_is_class_oid_and_sub_in_scan_order() {
    let key = ObjectKey {
        class: Class::Comment,
        oid: 0x0102_0304,
        sub: 5,
    };
    assert_eq!(codec::encode_key(key), [7, 1, 2, 3, 4, 0x80, 5]);
    let negative = ObjectKey { sub: -1, ..key };
    assert!(codec::encode_key(negative) < codec::encode_key(key));
}

#[test]
fn damaged_rows_are_refused_and_not_guessed_at() {
    let stored = codec::encode(&table().into()).unwrap();
    assert!(codec::decode(&[]).is_err());
    assert!(codec::decode(&stored[1..]).is_err());
    for cut in 0..stored.len() {
        assert!(codec::decode(&stored[..cut]).is_err(), "cut at {cut}");
    }
    assert!(codec::decode_key(&[99, 0, 0, 0, 0, 0, 0]).is_err());
    assert!(codec::decode_key(&[1, 2, 3]).is_err());
}

#[test]
fn relations_share_one_namespace_and_follow_renames_and_drops() {
    let mut catalog = Catalog::default();
    catalog.apply(&Change::put(Schema {
        oid: 2_200,
        name: "public".to_owned(),
        owner: 10,
    }));
    catalog.apply(&Change::put(table()));
    let path = ["nowhere".to_owned(), "public".to_owned()];
    assert_eq!(catalog.relation(&path, "t"), Some(Relation::Table(16_384)));
    assert_eq!(catalog.relation(&path, "t_pkey"), Some(Relation::Index(16_384, 16_386)));
    assert_eq!(catalog.relation_by_oid(16_386).map(|(_, name, _)| name), Some("t_pkey"));
    let before = catalog.clone();
    catalog.apply(&Change::put(Table {
        name: "u".to_owned(),
        ..table()
    }));
    assert_eq!(catalog.relation(&path, "t"), None);
    assert_eq!(catalog.relation(&path, "u"), Some(Relation::Table(16_384)));
    assert_eq!(
        before.relation(&path, "t"),
        Some(Relation::Table(16_384)),
        "an older version stays as it was"
    );
    catalog.apply(&Change::drop(Class::Table, 16_384));
    assert!(catalog.relations.is_empty() && catalog.tables.is_empty());
    assert!(Arc::strong_count(&before.schemas) > 1, "what did not change is shared");
}

#[test]
fn names_of_implicit_objects_are_cut_as_postgresql_cuts_them() {
    assert_eq!(make_object_name("t", Some("a"), Some("key")), "t_a_key");
    assert_eq!(make_object_name("t", None, Some("pkey")), "t_pkey");
    // SELECT conname FROM pg_constraint of PostgreSQL 15 for a table of 60 t's with a column of 60 c's, UNIQUE.
    let name = make_object_name(&"t".repeat(60), Some(&"c".repeat(60)), Some("key"));
    assert_eq!(name, format!("{}_{}_key", "t".repeat(29), "c".repeat(29)));
    let name = make_object_name(&"t".repeat(63), None, Some("pkey"));
    assert_eq!(name, format!("{}_pkey", "t".repeat(58)));
    let cut = make_object_name(&"é".repeat(31), None, Some("pkey"));
    assert!(cut.len() <= 63 && cut.ends_with("é_pkey"), "never inside a character");
    let taken = ["t_a_idx", "t_a_idx1"];
    assert_eq!(choose_name("t", Some("a"), "idx", |n| taken.contains(&n)), "t_a_idx2");
}

fn mood() -> Type {
    let label = |oid, label: &str, order, value| EnumLabel {
        oid,
        label: label.to_owned(),
        order,
        value,
    };
    Type {
        oid: 90_001,
        schema: PUBLIC,
        name: "mood".to_owned(),
        owner: FIRST_ROLE,
        array: 90_002,
        array_name: "_mood".to_owned(),
        kind: TypeKind::Enum(vec![label(90_003, "sad", 1.0, 1 << 48), label(90_004, "ok", 2.0, 2 << 48)]),
    }
}

#[test]
fn the_stored_form_of_a_type_is_pinned() {
    let golden = concat!(
        "\u{1}",
        r#"{"Type":{"oid":90001,"schema":2200,"name":"mood","owner":10,"array":90002,"array_name":"_mood","kind":{"Enum":["#,
        r#"{"oid":90003,"label":"sad","order":1.0,"value":281474976710656},"#,
        r#"{"oid":90004,"label":"ok","order":2.0,"value":562949953421312}]}}}"#
    );
    let stored = codec::encode(&Object::from(mood())).unwrap();
    assert_eq!(String::from_utf8(stored).unwrap(), golden);
    assert_eq!(codec::decode(golden.as_bytes()).unwrap(), Object::from(mood()));
}

#[test]
fn a_type_and_its_array_type_are_found_by_name_until_it_is_dropped() {
    use curia_types::{UserTypes, type_info};
    let path = ["public".to_owned()];
    let mut catalog = Catalog::default();
    catalog.apply(&Change::put(Schema {
        oid: PUBLIC,
        name: "public".to_owned(),
        owner: FIRST_ROLE,
    }));
    catalog.apply(&Change::put(mood()));
    assert_eq!(catalog.type_named(&path, "mood"), Some(90_001));
    assert_eq!(catalog.type_named(&path, "_mood"), Some(90_002));
    assert_eq!(type_info::element_of(90_002), Some(90_001));
    assert_eq!(catalog.format_type(&path, PgType::with_typmod(90_002, -1)), "mood[]");
    assert_eq!(catalog.format_type(&[], PgType::with_typmod(90_001, -1)), "public.mood");
    assert_eq!(catalog.enum_value(90_001, "ok"), Some(2 << 48));
    assert_eq!(catalog.enum_label(90_001, 1 << 48).as_deref(), Some("sad"));
    let renamed = Type {
        name: "feeling".to_owned(),
        array_name: "_feeling".to_owned(),
        ..mood()
    };
    catalog.apply(&Change::put(renamed));
    assert_eq!(catalog.type_named(&path, "mood"), None);
    assert_eq!(catalog.type_named(&path, "_feeling"), Some(90_002));
    catalog.apply(&Change::drop(Class::Type, 90_001));
    assert_eq!(catalog.type_named(&path, "feeling"), None);
    assert_eq!(catalog.type_named(&path, "_feeling"), None);
}

#[test]
fn a_role_stored_before_there_were_attributes_is_readable() {
    let mut bytes = vec![1];
    bytes.extend_from_slice(br#"{"Role":{"oid":10,"name":"curia","superuser":true,"login":true,"password":null}}"#);
    let role = Role {
        oid: 10,
        name: "curia".to_owned(),
        superuser: true,
        login: true,
        ..Role::default()
    };
    assert_eq!(codec::decode(&bytes).unwrap(), role.into());
}

#[test]
fn what_is_granted_on_is_taken_back_with_cascade_only() {
    let mut catalog = Catalog::default();
    for (oid, name) in [(100, "owner"), (101, "first"), (102, "second")] {
        let role = Role {
            oid,
            name: name.to_owned(),
            ..Role::default()
        };
        catalog.apply(&Change::put(role));
    }
    let roles = catalog.authority();
    let grant = |revoke, option, cascade, grantor, grantee: &'static [u32]| list::Grant {
        revoke,
        option,
        cascade,
        grantor,
        grantees: grantee,
        rights: Rights::SELECT,
    };
    let own = Kind::Relation.initial(100);
    let given = list::merged(roles, &own, &grant(false, true, false, 100, &[101]), 100).unwrap();
    let given = list::merged(roles, &given, &grant(false, false, false, 101, &[102]), 100).unwrap();
    assert!(list::held(roles, &given, 102).contains(Rights::SELECT));
    assert!(list::merged(roles, &given, &grant(true, false, false, 100, &[101]), 100).is_err());
    assert_eq!(
        list::merged(roles, &given, &grant(true, false, true, 100, &[101]), 100).unwrap(),
        own
    );
    let circle = list::merged(roles, &given, &grant(false, true, false, 101, &[102]), 100).unwrap();
    assert!(list::merged(roles, &circle, &grant(false, true, false, 102, &[101]), 100).is_err());
    let text = given[1].text(|r| format!("r {r}"));
    assert_eq!(text, "\"r 101\"=r*/\"r 100\"");
}
