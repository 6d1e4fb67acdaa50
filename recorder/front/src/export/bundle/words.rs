//! The words of the report, in English, French and German.

/// One language.
pub struct Words {
    /// Its code.
    pub language: &'static str,
    /// Evidence of a meeting.
    pub title: &'static str,
    /// Meeting.
    pub meeting: &'static str,
    /// Copy of.
    pub firm: &'static str,
    /// Room.
    pub room: &'static str,
    /// Time (UTC).
    pub time: &'static str,
    /// Kept at least until.
    pub retain: &'static str,
    /// Frames.
    pub frames: &'static str,
    /// SHA-256 of the signed manifest.
    pub manifest: &'static str,
    /// ... of the paired recorder's copy.
    pub paired: &'static str,
    /// Case.
    pub case: &'static str,
    /// Reason.
    pub reason: &'static str,
    /// Requested by.
    pub requester: &'static str,
    /// Approved by.
    pub approver: &'static str,
    /// Made.
    pub made: &'static str,
    /// Keys.
    pub keys: &'static str,
    /// in data/keys.
    pub keys_in: &'static str,
    /// not in this bundle: its media stay sealed.
    pub keys_out: &'static str,
    /// Who was there.
    pub people: &'static str,
    /// Name.
    pub name: &'static str,
    /// Participant.
    pub id: &'static str,
    /// From.
    pub from: &'static str,
    /// Until.
    pub to: &'static str,
    /// What is missing.
    pub gaps: &'static str,
    /// Nothing is missing.
    pub no_gaps: &'static str,
    /// everybody.
    pub everybody: &'static str,
    /// Cause.
    pub cause: &'static str,
    /// What happened.
    pub events: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Text.
    pub text: &'static str,
    /// Who accessed it.
    pub ledger: &'static str,
    /// Who.
    pub who: &'static str,
    /// What.
    pub what: &'static str,
    /// Note.
    pub note: &'static str,
    /// Integrity.
    pub integrity: &'static str,
    /// verified.
    pub verified: &'static str,
    /// Named by the manifest and not in the archive.
    pub missing: &'static str,
    /// Files.
    pub files: &'static str,
    /// Path.
    pub path: &'static str,
    /// Bytes.
    pub bytes: &'static str,
    /// How to check.
    pub check: &'static str,
    /// The first command checks every file of this bundle.
    pub check_why: &'static str,
}

/// All of them.
pub const ALL: [Words; 3] = [
    Words {
        language: "en",
        title: "Evidence of a meeting",
        meeting: "Meeting",
        firm: "Copy of",
        room: "Room",
        time: "Time (UTC)",
        retain: "Kept at least until",
        frames: "Frames",
        manifest: "SHA-256 of the signed manifest",
        paired: "SHA-256 of the paired recorder's manifest",
        case: "Case",
        reason: "Reason",
        requester: "Requested by",
        approver: "Approved by",
        made: "Made",
        keys: "Keys",
        keys_in: "in data/keys: whoever has this bundle can open the whole meeting",
        keys_out: "not in this bundle: its media stay sealed",
        people: "Who was there",
        name: "Name",
        id: "Participant",
        from: "From",
        to: "Until",
        gaps: "What is missing",
        no_gaps: "Nothing is missing.",
        everybody: "everybody",
        cause: "Cause",
        events: "What happened",
        kind: "Kind",
        text: "Text",
        ledger: "Who accessed it",
        who: "Who",
        what: "What",
        note: "Note",
        integrity: "Integrity",
        verified: "verified",
        missing: "Named by the manifest and not in the archive",
        files: "Files",
        path: "Path",
        bytes: "Bytes",
        check: "How to check",
        check_why: "The first command checks every file of this bundle. The second, offline, checks signatures, record chains, Merkle roots, senders' own lists, gaps and the log, and names the first byte that is wrong.",
    },
    Words {
        language: "fr",
        title: "Preuves d'une réunion",
        meeting: "Réunion",
        firm: "Copie de",
        room: "Salle",
        time: "Heure (UTC)",
        retain: "Conservée au moins jusqu'au",
        frames: "Trames",
        manifest: "SHA-256 du manifeste signé",
        paired: "SHA-256 du manifeste de l'enregistreur jumeau",
        case: "Dossier",
        reason: "Motif",
        requester: "Demandé par",
        approver: "Approuvé par",
        made: "Établi",
        keys: "Clés",
        keys_in: "dans data/keys : qui détient ce dossier peut ouvrir toute la réunion",
        keys_out: "absentes de ce dossier : les médias restent scellés",
        people: "Personnes présentes",
        name: "Nom",
        id: "Participant",
        from: "De",
        to: "À",
        gaps: "Ce qui manque",
        no_gaps: "Rien ne manque.",
        everybody: "tous",
        cause: "Cause",
        events: "Ce qui s'est passé",
        kind: "Type",
        text: "Texte",
        ledger: "Qui y a accédé",
        who: "Qui",
        what: "Quoi",
        note: "Note",
        integrity: "Intégrité",
        verified: "vérifiée",
        missing: "Nommé par le manifeste et absent de l'archive",
        files: "Fichiers",
        path: "Chemin",
        bytes: "Octets",
        check: "Comment vérifier",
        check_why: "La première commande vérifie chaque fichier de ce dossier. La seconde, hors ligne, vérifie signatures, chaînes, racines de Merkle, listes des émetteurs, lacunes et journal, et nomme le premier octet faux.",
    },
    Words {
        language: "de",
        title: "Beweise zu einer Sitzung",
        meeting: "Sitzung",
        firm: "Kopie von",
        room: "Raum",
        time: "Zeit (UTC)",
        retain: "Aufbewahrt mindestens bis",
        frames: "Frames",
        manifest: "SHA-256 des signierten Manifests",
        paired: "SHA-256 des Manifests des zweiten Recorders",
        case: "Fall",
        reason: "Grund",
        requester: "Beantragt von",
        approver: "Genehmigt von",
        made: "Erstellt",
        keys: "Schlüssel",
        keys_in: "in data/keys: Wer dieses Bündel hat, kann die ganze Sitzung öffnen",
        keys_out: "nicht in diesem Bündel: Ton und Bild bleiben versiegelt",
        people: "Wer da war",
        name: "Name",
        id: "Teilnehmende",
        from: "Von",
        to: "Bis",
        gaps: "Was fehlt",
        no_gaps: "Nichts fehlt.",
        everybody: "alle",
        cause: "Ursache",
        events: "Was geschah",
        kind: "Art",
        text: "Text",
        ledger: "Wer darauf zugriff",
        who: "Wer",
        what: "Was",
        note: "Notiz",
        integrity: "Integrität",
        verified: "geprüft",
        missing: "Vom Manifest genannt und nicht im Archiv",
        files: "Dateien",
        path: "Pfad",
        bytes: "Bytes",
        check: "Wie man prüft",
        check_why: "Der erste Befehl prüft jede Datei dieses Bündels. Der zweite prüft ohne Netz Signaturen, Ketten, Merkle-Wurzeln, die Listen der Sendenden, Lücken und das Log und nennt das erste falsche Byte.",
    },
];
