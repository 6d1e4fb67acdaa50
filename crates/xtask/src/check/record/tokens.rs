//! Both test tokens: a ceremony, then custody's own self-test, which tries every mechanism that it needs.

use crate::demo::configs::SOFTHSM;
use crate::demo::files;
use crate::demo::plan::Plan;
use crate::place::Place;
use crate::{run, setup};
use anyhow::Context;
use std::path::Path;
use std::process::Command;

/// Names of the tokens that can do all that custody needs.
pub fn proven(place: &Place, plan: &Plan) -> anyhow::Result<Vec<&'static str>> {
    let softhsm = SOFTHSM.iter().map(Path::new).find(|path| path.is_file()).context("SoftHSM2 is not installed")?;
    let kryoptic = setup::tokens::module(place);
    let kinds = [("softhsm2", "softhsm", softhsm), ("kryoptic", "kryoptic", kryoptic.as_path())];
    let mut proven = Vec::new();
    for (name, section, module) in kinds {
        let folder = format!("tokens-{name}");
        files::folder(&plan.at(&folder))?;
        files::folder(&plan.at(&folder).join("token"))?;
        let config = plan.at(&folder).join("custody.toml");
        let text = format!(
            "firm = \"bank-a\"\nrole = \"record\"\nmodule = \"{}\"\ntoken_label = \"{name}\"\npin_file = \"pin\"\n\
             socket = \"record.sock\"\n\n[{section}]\nconfig = \"token/{name}.conf\"\n\n[record]\n",
            module.display()
        );
        files::write(&config, &text)?;
        for word in ["ceremony", "check"] {
            let mut command = Command::new(plan.binaries.join("strongroom-custody"));
            command.arg(word).arg("--config").arg(&config).env("NO_COLOR", "1").env("RUST_LOG", "warn");
            run::capture(&mut command)?;
        }
        proven.push(name);
    }
    Ok(proven)
}
