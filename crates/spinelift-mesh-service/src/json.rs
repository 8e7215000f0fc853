//! Reading JSON of strangers: in memory it must not grow to many times its length.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Most values in a document for one job, which needs fewer than forty; a hundred megabytes of
/// `0,` would take two gigabytes as values.
pub(crate) const MAX_VALUES: usize = 10_000;

/// Values that are added for each image of a batch, which needs fewer than forty, too.
pub(crate) const VALUES_OF_AN_IMAGE: usize = 40;

/// Reads one document of so many values at most. Of an error of
/// [`Category::Data`](serde_json::error::Category::Data) the cause is that it has too many.
pub(crate) fn read(bytes: &[u8], most: usize) -> serde_json::Result<Value> {
    let mut left = most;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Counted(&mut left).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Reads a value and counts it, and each value in it, off what is left.
struct Counted<'a>(&'a mut usize);

impl<'de> DeserializeSeed<'de> for Counted<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.0.checked_sub(1) {
            Some(left) => *self.0 = left,
            None => return Err(D::Error::custom("too many values")),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Counted<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(Counted(self.0))? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            values.insert(name, entries.next_value_seed(Counted(self.0))?);
        }
        Ok(values.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_read_as_ever() {
        let text = r#"{"a":[null,true,-1,18446744073709551615,0.5,"é",{}],"b":1,"b":2} "#;
        let value = json!({ "a": [null, true, -1, u64::MAX, 0.5, "é", {}], "b": 2 });
        assert_eq!(read(text.as_bytes(), MAX_VALUES).expect("valid"), value);
        for bad in ["", "{", "[1,]", "1 2", "NaN", "1e999", &"[".repeat(500)] {
            let error = read(bad.as_bytes(), MAX_VALUES).expect_err(bad);
            assert!(!error.is_data(), "{bad}: {error}");
        }
    }

    #[test]
    fn values_are_counted_at_every_depth() {
        let most = format!("[{}0]", "0,".repeat(MAX_VALUES - 2));
        assert!(read(most.as_bytes(), MAX_VALUES).is_ok());
        for text in [
            format!("[{}0]", "0,".repeat(MAX_VALUES - 1)),
            format!("[{}0]", "[],".repeat(MAX_VALUES - 1)),
            format!(r#"{{"a":{{{}"a":0}}}}"#, r#""a":0,"#.repeat(MAX_VALUES)),
        ] {
            assert!(
                read(text.as_bytes(), MAX_VALUES)
                    .expect_err("too many")
                    .is_data()
            );
        }
    }
}
