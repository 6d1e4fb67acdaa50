//! The records in a PostgreSQL database.

use super::{Done, Row, Rows, Step, Value};
use crate::database::{DatabaseError, PostgresConfig, postgres};
use async_trait::async_trait;
use deadpool_postgres::Pool;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

const MIGRATIONS: [&str; 1] = [include_str!("../../migrations/records-postgres/0001-truth.sql")];

/// A database on a server.
pub struct Server(Pool);

impl Server {
    /// Connects and brings the tables up to date.
    pub async fn open(config: &PostgresConfig) -> Result<Self, DatabaseError> {
        let pool = postgres::connect(config)?;
        postgres::migrate(&mut pool.get().await?, "strongroom_records_schema", &MIGRATIONS).await?;
        Ok(Self(pool))
    }
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) => number.to_sql_checked(kind, out),
            Self::Text(text) => text.to_sql_checked(kind, out),
            Self::Bytes(bytes) => bytes.to_sql_checked(kind, out),
        }
    }
    fn accepts(_: &Type) -> bool {
        // each value judges its own
        true
    }
    to_sql_checked!();
}

fn read(row: &tokio_postgres::Row, at: usize) -> Result<Value, DatabaseError> {
    let kind = row.columns()[at].type_();
    Ok(if *kind == Type::INT8 {
        row.try_get::<_, Option<i64>>(at)?.map_or(Value::Null, Value::Int)
    } else if *kind == Type::TEXT {
        row.try_get::<_, Option<String>>(at)?.map_or(Value::Null, Value::Text)
    } else if *kind == Type::BYTEA {
        row.try_get::<_, Option<Vec<u8>>>(at)?.map_or(Value::Null, Value::Bytes)
    } else {
        return Err(super::odd("a column of another type"));
    })
}

#[async_trait]
impl Rows for Server {
    async fn run(&self, steps: Vec<Step>) -> Result<Vec<Done>, DatabaseError> {
        postgres::in_time(async {
            let mut client = self.0.get().await?;
            let change = client.transaction().await?;
            let mut all = Vec::with_capacity(steps.len());
            for step in &steps {
                let query = change.prepare_cached(step.sql).await?;
                let values: Vec<&(dyn ToSql + Sync)> = step.values.iter().map(|value| value as _).collect();
                let mut done = Done::default();
                if query.columns().is_empty() {
                    done.changed = change.execute(&query, &values).await?;
                } else {
                    for row in change.query(&query, &values).await? {
                        done.rows.push(Row((0..row.len()).map(|at| read(&row, at)).collect::<Result<_, _>>()?));
                    }
                }
                all.push(done);
            }
            change.commit().await?;
            Ok(all)
        })
        .await
    }
}
