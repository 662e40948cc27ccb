//! From the bytes of a record to the values of the fields that the mapping names.

use std::collections::BTreeMap;

use serde_json::Value;

use super::options::{Field, Mapping};

/// The values of a row that are not empty.
pub(super) type Cells = BTreeMap<Field, String>;

/// Deeper keys of a JSON object are no columns.
const MAX_DEPTH: usize = 3;

/// Reads the rows of a CSV file.
#[derive(Debug)]
pub(super) struct CsvRows {
    delimiter: u8,
    width: usize,
    fields: Vec<(Field, usize)>,
}

impl CsvRows {
    /// For a file with these columns, of which the mapping names some.
    pub(super) fn new(delimiter: u8, columns: &[String], mapping: &Mapping) -> Self {
        let mut fields = Vec::new();
        for (field, column) in mapping {
            fields.extend(columns.iter().position(|there| there == column).map(|at| (*field, at)));
        }
        Self { delimiter, width: columns.len(), fields }
    }

    /// The values of a row, or what is wrong with it.
    pub(super) fn read(&self, record: &[u8]) -> Result<Cells, String> {
        let row = csv_fields(record, self.delimiter)?;
        if row.len() != self.width {
            return Err(format!("the row has {} fields and the header {}", row.len(), self.width));
        }
        let mut cells = Cells::new();
        for (field, at) in &self.fields {
            put(&mut cells, *field, &row[*at]);
        }
        Ok(cells)
    }
}

/// The fields of one CSV record.
pub(super) fn csv_fields(record: &[u8], delimiter: u8) -> Result<Vec<String>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .buffer_capacity(record.len().max(1))
        .from_reader(record);
    let mut fields = csv::StringRecord::new();
    match reader.read_record(&mut fields) {
        Ok(_) => Ok(fields.iter().map(str::to_owned).collect()),
        Err(error) => match error.kind() {
            csv::ErrorKind::Utf8 { err, .. } => Err(format!("field {}: invalid UTF-8", err.field() + 1)),
            _ => Err(error.to_string()),
        },
    }
}

/// The values of a line of JSON, or what is wrong with it.
pub(super) fn json_cells(line: &[u8], mapping: &Mapping) -> Result<Cells, String> {
    let object = json_object(line)?;
    let mut cells = Cells::new();
    for (field, column) in mapping {
        match value_at(&object, column) {
            Some(Value::String(text)) => put(&mut cells, *field, text),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => put(&mut cells, *field, &value.to_string()),
            _ => {}
        }
    }
    Ok(cells)
}

/// The keys of a line of JSON that can be columns; those of inner objects joined by dots.
pub(super) fn json_columns(line: &[u8]) -> Result<Vec<String>, String> {
    let mut columns = Vec::new();
    collect_columns(&json_object(line)?, "", 1, &mut columns);
    Ok(columns)
}

fn collect_columns(object: &Value, prefix: &str, depth: usize, columns: &mut Vec<String>) {
    for (key, value) in object.as_object().into_iter().flatten() {
        let column = format!("{prefix}{key}");
        match value {
            Value::Object(_) if depth < MAX_DEPTH => {
                collect_columns(value, &format!("{column}."), depth + 1, columns);
            }
            Value::Object(_) | Value::Array(_) => {}
            _ => columns.push(column),
        }
    }
}

fn json_object(line: &[u8]) -> Result<Value, String> {
    if std::str::from_utf8(line).is_err() {
        return Err("invalid UTF-8".to_owned());
    }
    match serde_json::from_slice::<Value>(line) {
        Ok(value) if value.is_object() => Ok(value),
        Ok(_) => Err("the line is JSON, but no object".to_owned()),
        Err(error) => Err(format!("invalid JSON: {error}")),
    }
}

/// A key may hold a dot itself, so the whole name is looked for first.
fn value_at<'v>(object: &'v Value, column: &str) -> Option<&'v Value> {
    if let Some(value) = object.get(column) {
        return Some(value);
    }
    let (key, rest) = column.split_once('.')?;
    value_at(object.get(key)?, rest)
}

fn put(cells: &mut Cells, field: Field, text: &str) {
    let text = text.trim();
    if !text.is_empty() {
        cells.insert(field, text.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_with_another_number_of_fields_is_refused() {
        let columns = ["id".to_owned(), "text".to_owned()];
        let rows = CsvRows::new(b',', &columns, &Mapping::from([(Field::Text, "text".to_owned())]));
        assert_eq!(rows.read(b"1,\"a, b\"").unwrap()[&Field::Text], "a, b");
        assert_eq!(rows.read(b"1,a,b").unwrap_err(), "the row has 3 fields and the header 2");
        assert_eq!(rows.read(b"1,\xff").unwrap_err(), "field 2: invalid UTF-8");
    }

    #[test]
    fn inner_keys_of_json_are_joined_by_dots() {
        let line =
            br#"{"id":570306133677760513,"user":{"screen_name":"ann","tags":[1]},"text":"hi","lang":null}"#;
        assert_eq!(json_columns(line).unwrap(), ["id", "lang", "text", "user.screen_name"]);
        let mapping = Mapping::from([
            (Field::Id, "id".to_owned()),
            (Field::Author, "user.screen_name".to_owned()),
            (Field::Lang, "lang".to_owned()),
        ]);
        let cells = json_cells(line, &mapping).unwrap();
        assert_eq!(
            cells,
            Cells::from([(Field::Id, "570306133677760513".into()), (Field::Author, "ann".into())])
        );
    }

    #[test]
    fn a_line_that_is_no_object_is_refused() {
        assert_eq!(json_cells(b"[1]", &Mapping::new()).unwrap_err(), "the line is JSON, but no object");
        assert!(json_cells(b"{\"a\":", &Mapping::new()).unwrap_err().starts_with("invalid JSON: EOF"));
    }
}
