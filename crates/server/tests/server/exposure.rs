//! Listening beyond loopback: only with a password and TLS.

use crate::house::{House, PATIENCE, connect, program};
use crate::wire::Wire;
use curia_sim::server::{Launch, StartError};
use std::path::Path;

fn testdata(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/server/testdata")
        .join(name)
        .display()
        .to_string()
}

/// The same folder, with TLS, for clients from anywhere.
fn everywhere(house: &House) -> Launch {
    let mut launch = house.launch.clone();
    launch.sql = "0.0.0.0:0".to_owned();
    launch.arguments = vec![
        "--tls-cert".into(),
        testdata("certificate.pem"),
        "--tls-key".into(),
        testdata("key.pem"),
    ];
    launch
}

#[tokio::test]
async fn tls_alone_is_not_enough_and_with_a_password_it_is() {
    let house = House::new();
    let launch = everywhere(&house);
    match launch.start(PATIENCE) {
        Err(StartError::Exited(status)) => assert_eq!(status.code(), Some(6), "{}", house.log()),
        other => panic!("{other:?}"),
    }
    assert!(
        house.log().lines().last().unwrap_or_default().contains("ALTER ROLE"),
        "{}",
        house.log()
    );

    let server = house.start();
    connect(&server)
        .await
        .batch_execute("ALTER ROLE curia PASSWORD 'a long secret'")
        .await
        .unwrap();
    tokio::task::spawn_blocking(move || server.terminate(PATIENCE))
        .await
        .unwrap()
        .unwrap();

    let server = launch.start(PATIENCE).unwrap_or_else(|error| panic!("{error:?}: {}", house.log()));
    let port = server.sql.rsplit(':').next().unwrap();
    let mut wire = Wire::connect(&format!("127.0.0.1:{port}")).await;
    wire.raw(&[0, 0, 0, 8, 4, 210, 22, 47]).await; // SSLRequest
    assert_eq!(wire.byte().await, Some(b'S'), "TLS is offered");
}

#[tokio::test]
async fn a_password_is_asked_for_and_must_fit() {
    let house = House::new();
    let server = house.start();
    let open = connect(&server).await;
    open.batch_execute("ALTER ROLE curia PASSWORD 'secret'").await.unwrap();
    let try_with = |password: &str| {
        let address = format!("postgresql://curia:{password}@{}/curia", server.sql);
        async move { tokio_postgres::connect(&address, tokio_postgres::NoTls).await.map(|_| ()) }
    };
    try_with("secret").await.unwrap();
    let error = try_with("wrong").await.unwrap_err();
    assert_eq!(error.code().map(|code| code.code()), Some("28P01"), "{error:?}");
}

#[tokio::test]
async fn insecure_lifts_the_rule() {
    let house = House::new().with(&["--insecure"]);
    let mut launch = house.launch.clone();
    launch.sql = "0.0.0.0:0".to_owned();
    launch.start(PATIENCE).unwrap_or_else(|error| panic!("{error:?}: {}", house.log()));
}

#[test]
fn a_key_that_is_not_the_certificates_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let certificate = testdata("certificate.pem");
    let output = std::process::Command::new(program())
        .args([
            "start",
            "--data",
            data.to_str().unwrap(),
            "--tls-cert",
            &certificate,
            "--tls-key",
            &certificate,
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("holds no private key"));
}
