//! The functions of Go's text/template, as strict as Go 1.19 is.
//!
//! gtmpl-ng compares values of different kinds (`eq 2 "2"` is false, in Go it is an error), and it
//! prints the whole data as a map where Go prints a struct. Here the first is an error, and so is
//! the second, being what can't be rendered as Go does.

use std::cmp::Ordering;

use gtmpl_ng::{Func, FuncError, Value, funcs};

type Answer = Result<Value, FuncError>;

/// All functions that a template may call; nothing else is defined.
pub const ALL: [(&str, Func); 17] = [
    ("and", funcs::and),
    ("eq", eq),
    ("ge", ge),
    ("gt", gt),
    ("html", html),
    ("index", index),
    ("js", js),
    ("le", le),
    ("len", len),
    ("lt", lt),
    ("ne", ne),
    ("not", not),
    ("or", funcs::or),
    ("print", print),
    ("printf", printf),
    ("println", println),
    ("urlquery", urlquery),
];

fn error(text: &str) -> FuncError {
    FuncError::Generic(text.to_owned())
}

/// Refuses what is neither string, number nor bool: the whole data, or no value at all.
fn scalars(args: &[Value]) -> Result<(), FuncError> {
    let scalar = |v: &Value| matches!(v, Value::Bool(_) | Value::String(_) | Value::Number(_));
    if args.iter().all(scalar) {
        Ok(())
    } else {
        Err(error(
            "an argument that is no text, number or bool is not supported",
        ))
    }
}

macro_rules! of_scalars {
    ($($name:ident)*) => {
        $(fn $name(args: &[Value]) -> Answer {
            scalars(args)?;
            funcs::$name(args)
        })*
    };
}

of_scalars!(html index js len print println urlquery);

fn not(args: &[Value]) -> Answer {
    // Go: exactly one argument.
    match args {
        [_] => funcs::not(args),
        _ => Err(error("not takes one argument")),
    }
}

fn printf(args: &[Value]) -> Answer {
    scalars(args)?;
    let Some(Value::String(format)) = args.first() else {
        return Err(error("printf takes a format first"));
    };
    check_format(format)?;
    funcs::printf(args)
}

/// Takes verbs whose text is known to be Go's: `%[-][0][width]` and one of `s d v q x t c %`.
fn check_format(format: &str) -> Result<(), FuncError> {
    let mut rest = format;
    while let Some((_, directive)) = rest.split_once('%') {
        let flags = directive.trim_start_matches('-');
        let verb = flags.trim_start_matches(|c: char| c.is_ascii_digit());
        let width = &flags[..flags.len() - verb.len()];
        let known = verb.starts_with(['s', 'd', 'v', 'q', 'x', 't', 'c', '%']);
        if !known || width.len() > 3 {
            return Err(error(
                "a printf directive other than %[-][0][width] and s d v q x t c % is not supported",
            ));
        }
        rest = &verb[1..];
    }
    Ok(())
}

fn compare(a: &Value, b: &Value) -> Result<Ordering, FuncError> {
    let order = match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            (None, None) => a
                .as_f64()
                .zip(b.as_f64())
                .and_then(|(a, b)| a.partial_cmp(&b)),
            _ => None,
        },
        _ => None,
    };
    order.ok_or_else(|| error("incompatible types for comparison"))
}

fn eq(args: &[Value]) -> Answer {
    match args {
        [] | [_] => Err(error("missing argument for comparison")),
        [first, others @ ..] => {
            for other in others {
                if compare(first, other)?.is_eq() {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
    }
}

fn ne(args: &[Value]) -> Answer {
    match args {
        [a, b] => Ok(Value::Bool(compare(a, b)?.is_ne())),
        _ => Err(error("a comparison takes two arguments")),
    }
}

fn ordered(args: &[Value]) -> Result<Ordering, FuncError> {
    match args {
        [Value::Bool(_), _] | [_, Value::Bool(_)] => Err(error("bools have no order")),
        [a, b] => compare(a, b),
        _ => Err(error("a comparison takes two arguments")),
    }
}

fn lt(args: &[Value]) -> Answer {
    Ok(Value::Bool(ordered(args)?.is_lt()))
}

fn le(args: &[Value]) -> Answer {
    Ok(Value::Bool(ordered(args)?.is_le()))
}

fn gt(args: &[Value]) -> Answer {
    Ok(Value::Bool(ordered(args)?.is_gt()))
}

fn ge(args: &[Value]) -> Answer {
    Ok(Value::Bool(ordered(args)?.is_ge()))
}
