//! The records in one SQLite file: one connection, calls on a thread for blocking work.

use super::{Done, Row, Rows, Step, Value};
use crate::database::{DatabaseError, sqlite};
use async_trait::async_trait;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

const MIGRATIONS: [&str; 2] = [
    include_str!("../../migrations/records-sqlite/0001-rest.sql"),
    include_str!("../../migrations/records-sqlite/0002-truth.sql"),
];

/// An open file.
pub struct File(Arc<Mutex<Connection>>);

impl File {
    /// Opens or makes it and brings its tables up to date. Blocks.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let mut database = sqlite::connect(path)?;
        // what was answered is on the disk
        database.execute_batch("PRAGMA synchronous = FULL;")?;
        sqlite::migrate(&mut database, &MIGRATIONS, |_, _| Ok(()))?;
        Ok(Self(Arc::new(Mutex::new(database))))
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn run(database: &mut Connection, steps: Vec<Step>) -> Result<Vec<Done>, DatabaseError> {
    // at once for writing: two processes that read first and write then would stumble
    let change = database.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let mut all = Vec::with_capacity(steps.len());
    for step in steps {
        let mut query = change.prepare_cached(step.sql)?;
        let columns = query.column_count();
        let mut done = Done::default();
        let mut rows = query.query(params_from_iter(step.values.iter()))?;
        while let Some(row) = rows.next()? {
            let value = |at| -> Result<Value, DatabaseError> {
                Ok(match row.get_ref(at)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(number) => Value::Int(number),
                    ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
                    ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
                    ValueRef::Real(_) => return Err(super::odd("a fraction")),
                })
            };
            done.rows.push(Row((0..columns).map(value).collect::<Result<_, DatabaseError>>()?));
        }
        drop(rows);
        if columns == 0 {
            done.changed = change.changes();
        }
        all.push(done);
    }
    change.commit()?;
    Ok(all)
}

#[async_trait]
impl Rows for File {
    async fn run(&self, steps: Vec<Step>) -> Result<Vec<Done>, DatabaseError> {
        let database = self.0.clone();
        let done = tokio::task::spawn_blocking(move || {
            run(&mut database.lock().unwrap_or_else(PoisonError::into_inner), steps)
        });
        done.await.map_err(|error| DatabaseError::Failed(error.to_string()))?
    }
}
