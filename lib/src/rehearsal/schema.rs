//! `lib/rehearsal.schema.json` describes the file of a rehearsal.

use serde_json::{Value, json};

use super::contract::{Contract, FORM};

/// The schema in the repository is the one of the types. `PUM_WRITE_SCHEMA=1 cargo test` writes it.
#[test]
fn the_schema_is_in_step() {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let schema = settings.into_generator().into_root_schema_for::<Contract>();
    let mut schema = serde_json::to_value(schema).unwrap();
    schema["title"] = FORM.into();
    schema["properties"]["schema"]["const"] = FORM.into();
    // What the file has besides the value.
    schema["properties"]["digest"] = json!({
        "description": "SHA-256 of everything else, so that a file that was edited is refused.",
        "type": "string"
    });
    schema["required"].as_array_mut().unwrap().push(Value::from("digest"));
    let schema = format!("{schema:#}\n");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/rehearsal.schema.json");
    if std::env::var_os("PUM_WRITE_SCHEMA").is_some() {
        std::fs::write(path, &schema).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap_or_default() == schema,
        "write it anew: PUM_WRITE_SCHEMA=1 cargo test -p pum schema"
    );
}
