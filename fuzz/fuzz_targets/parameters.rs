//! Any JSON, and any words of a command line → parameters.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use spinelift_mesh::parameters::{OPTIONS, PARAMETERS};
use spinelift_mesh::{MAX_WARNINGS, MeshParameters, Warning};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        for spec in &PARAMETERS {
            if let Err(error) = spec.parse(text) {
                assert!(error.details().is_object());
            }
        }
        for spec in &OPTIONS {
            if let Err(error) = spec.parse(text) {
                assert!(error.details().is_object());
            }
        }
        if let Ok(value) = serde_json::from_str(text) {
            return check(&value);
        }
    }
    if let Ok(members) = Vec::<Member>::arbitrary(&mut Unstructured::new(bytes)) {
        let object: Map<String, Value> = members.into_iter().map(Member::entry).collect();
        check(&Value::Object(object));
    }
});

/// One member of an object of parameters.
#[derive(Arbitrary)]
struct Member {
    name: u8,
    value: Scalar,
}

#[derive(Arbitrary)]
enum Scalar {
    Small(i8),
    Share(u8),
    Integer(i64),
    Unsigned(u64),
    Number(f64),
    Boolean(bool),
    Text(String),
    Null,
    Nested,
}

impl Member {
    fn entry(self) -> (String, Value) {
        let spec = PARAMETERS.get(usize::from(self.name) % (PARAMETERS.len() + 1));
        let range = spec.map_or((0.0, 1.0), |spec| (spec.minimum, spec.maximum));
        let value = match self.value {
            Scalar::Small(number) => number.into(),
            // A little beyond the range at its end.
            Scalar::Share(share) => {
                (range.0 + f64::from(share) / 250.0 * (range.1 - range.0)).into()
            }
            Scalar::Integer(number) => number.into(),
            Scalar::Unsigned(number) => number.into(),
            Scalar::Number(number) => number.into(),
            Scalar::Boolean(truth) => truth.into(),
            Scalar::Text(text) => text.into(),
            Scalar::Null => Value::Null,
            Scalar::Nested => Value::Array(vec![Value::Object(Map::new())]),
        };
        let name = spec.map_or("unknown", |spec| spec.name);
        (name.to_owned(), value)
    }
}

fn check(value: &Value) {
    match MeshParameters::from_json(value) {
        Ok((parameters, warnings)) => {
            assert_eq!(parameters.normalized(), Ok(parameters));
            assert!(warnings.len() <= MAX_WARNINGS + OPTIONS.len());
            let json = serde_json::to_value(parameters).expect("numbers serialize");
            let (read, warnings) = MeshParameters::from_json(&json).expect("as before");
            assert_eq!(read, parameters);
            let is_known = |warning: &Warning| warning.code() == "PARAMETER_WITHOUT_EFFECT";
            assert!(warnings.iter().all(is_known));
        }
        Err(errors) => {
            assert!(!errors.0.is_empty());
            assert!(!errors.to_string().is_empty());
            assert!(errors.details().is_object());
        }
    }
}
