//! Incidents, each one document.

use super::{Records, Row, Value, odd};
use crate::database::DatabaseError;
use domain::message::incident::{IncidentInfo, IncidentState};

/// An incident as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// The alert manager's name for it.
    pub group_key: String,
    /// All of it.
    pub info: IncidentInfo,
}

/// Which incidents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incidents {
    /// That are not closed.
    Open,
    /// All.
    All,
}

fn incident(mut row: Row) -> Result<Incident, DatabaseError> {
    let info = serde_json::from_str(&row.text(1)?).map_err(|_| odd("an incident that is none"))?;
    Ok(Incident { group_key: row.text(0)?, info })
}

impl Records {
    /// Writes an incident, or writes it anew.
    pub async fn put_incident(&self, one: &Incident) -> Result<(), DatabaseError> {
        let text = serde_json::to_string(&one.info).expect("texts and numbers are JSON");
        let open = i64::from(one.info.state != IncidentState::Closed);
        let put = "INSERT INTO incidents (id, group_key, open, opened, document) VALUES ($1, $2, $3, $4, $5)
                   ON CONFLICT (id) DO UPDATE SET group_key = excluded.group_key, open = excluded.open,
                   opened = excluded.opened, document = excluded.document";
        let values = vec![
            one.info.incident.as_str().into(),
            one.group_key.as_str().into(),
            Value::Int(open),
            one.info.opened_at.into(),
            text.as_str().into(),
        ];
        self.one(put, values).await.map(drop)
    }

    /// One incident.
    pub async fn incident(&self, id: &str) -> Result<Option<Incident>, DatabaseError> {
        let query = "SELECT group_key, document FROM incidents WHERE id = $1";
        self.first(query, vec![id.into()]).await?.map(incident).transpose()
    }

    /// The newest of a group.
    pub async fn last_incident(&self, key: &str) -> Result<Option<Incident>, DatabaseError> {
        let query = "SELECT group_key, document FROM incidents WHERE group_key = $1 ORDER BY opened DESC LIMIT 1";
        self.first(query, vec![key.into()]).await?.map(incident).transpose()
    }

    /// The newest incidents; only those that are open, or all.
    pub async fn incidents(&self, which: Incidents, most: usize) -> Result<Vec<Incident>, DatabaseError> {
        let least = Value::Int(i64::from(which == Incidents::Open));
        let query = "SELECT group_key, document FROM incidents WHERE open >= $1 ORDER BY opened DESC LIMIT $2";
        self.one(query, vec![least, most.into()]).await?.rows.into_iter().map(incident).collect()
    }
}
