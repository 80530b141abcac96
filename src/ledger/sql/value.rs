//! What goes into a statement and what comes out of it.

/// A value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A number, or a truth value.
    Integer(i64),
    /// Text.
    Text(String),
    /// Bytes; text is read from them too, where they are UTF-8.
    Blob(Vec<u8>),
}

/// The values of a statement, in the order of its question marks.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        [$($crate::ledger::sql::value::Value::from($value)),*]
    };
}
pub(crate) use values;

macro_rules! from_integers {
    ($($integer:ty),*) => {
        $(impl From<$integer> for Value {
            fn from(number: $integer) -> Self {
                Self::Integer(number.into())
            }
        })*
    };
}

from_integers!(i64, u32, u8, bool);

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Blob(bytes)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<&Option<String>> for Value {
    fn from(value: &Option<String>) -> Self {
        value.as_deref().into()
    }
}

/// Why a row cannot be read.
pub type Unreadable = String;

/// A row, read column after column. A value of another type is an error, not a panic.
pub struct Row {
    values: std::vec::IntoIter<Value>,
    column: usize,
}

impl Row {
    /// Of these values.
    pub fn new(values: Vec<Value>) -> Self {
        Self {
            values: values.into_iter(),
            column: 0,
        }
    }

    /// The next column.
    pub fn get<T: FromValue>(&mut self) -> Result<T, Unreadable> {
        self.column += 1;
        let value = self.values.next();
        let read = value.and_then(T::from_value);
        read.ok_or_else(|| format!("column {} holds a value of another type", self.column))
    }
}

/// What a column is read as.
pub trait FromValue: Sized {
    /// None where the value is of another type.
    fn from_value(value: Value) -> Option<Self>;
}

impl FromValue for String {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text),
            Value::Blob(bytes) => String::from_utf8(bytes).ok(),
            Value::Null | Value::Integer(_) => None,
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.into_bytes()),
            Value::Blob(bytes) => Some(bytes),
            Value::Null | Value::Integer(_) => None,
        }
    }
}

impl FromValue for i64 {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Integer(number) => Some(number),
            Value::Null | Value::Text(_) | Value::Blob(_) => None,
        }
    }
}

impl FromValue for u32 {
    fn from_value(value: Value) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for u8 {
    fn from_value(value: Value) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for bool {
    fn from_value(value: Value) -> Option<Self> {
        match i64::from_value(value)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_another_type_is_an_error() {
        let values = values!["a", 7_i64, None::<i64>, vec![0xff_u8], 2_i64, -1_i64];
        let mut row = Row::new(values.to_vec());
        assert_eq!(row.get::<String>(), Ok("a".to_owned()));
        assert!(row.get::<String>().is_err());
        assert!(row.get::<i64>().is_err(), "NULL is no number");
        assert!(row.get::<String>().is_err(), "not UTF-8");
        assert!(row.get::<bool>().is_err());
        assert!(row.get::<u32>().unwrap_err().contains("column 6"));
        assert!(row.get::<Option<i64>>().is_err(), "no such column");
    }

    #[test]
    fn what_may_be_missing_is_read_as_such() {
        let mut row = Row::new(values![None::<String>, "b", true].to_vec());
        assert_eq!(row.get::<Option<String>>(), Ok(None));
        assert_eq!(row.get::<Option<Vec<u8>>>(), Ok(Some(b"b".to_vec())));
        assert_eq!(row.get::<Option<bool>>(), Ok(Some(true)));
    }
}
