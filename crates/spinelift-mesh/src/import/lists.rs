//! Lists of numbers.

use super::ReadError;
use serde_json::Value;

/// A list of groups of numbers, or all of their numbers in one flat list.
pub(super) fn groups<T, const SIZE: usize>(
    json: Option<&Value>,
    field: &str,
    expected: &'static str,
    number: fn(&Value) -> Option<T>,
) -> Result<Vec<[T; SIZE]>, ReadError> {
    let found = json.and_then(Value::as_array).and_then(|list| {
        if list.iter().all(Value::is_array) {
            list.iter()
                .map(|group| group_of(group.as_array()?, number))
                .collect()
        } else if list.len().is_multiple_of(SIZE) {
            list.chunks_exact(SIZE)
                .map(|group| group_of(group, number))
                .collect()
        } else {
            None
        }
    });
    found.ok_or_else(|| ReadError::Field {
        field: field.to_owned(),
        expected,
    })
}

fn group_of<T, const SIZE: usize>(
    group: &[Value],
    number: fn(&Value) -> Option<T>,
) -> Option<[T; SIZE]> {
    let numbers: Option<Vec<T>> = group.iter().map(number).collect();
    numbers?.try_into().ok()
}

pub(super) fn index(json: &Value) -> Option<u32> {
    json.as_u64().and_then(|index| u32::try_from(index).ok())
}
