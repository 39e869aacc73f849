use super::*;
use std::sync::Arc;
use stead_machine::Manager;
use stead_machine::conformance::Bench;

struct HostBench {
    folder: tempfile::TempDir,
}

fn wanted(name: &str, declared: Machine) -> Wanted {
    Wanted {
        name: name.into(),
        id: "0".repeat(32),
        number: 1,
        address: Ipv4Addr::LOCALHOST,
        declared,
        network: None,
        state: name.into(),
        created: 0,
    }
}

fn machine() -> Machine {
    Machine { engine: NAME.into(), ..Machine::default() }
}

#[async_trait]
impl Bench for HostBench {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::new(Host)
    }

    fn wanted(&self, _: &str) -> Wanted {
        wanted(NAME, machine())
    }

    async fn residue(&self) -> Vec<String> {
        Vec::new()
    }

    fn place(&self, _: &str) -> PathBuf {
        self.folder.path().into()
    }

    fn makes_machines(&self) -> bool {
        false
    }
}

stead_machine::conformance_tests!(HostBench { folder: tempfile::tempdir().unwrap() });

#[tokio::test]
async fn what_cannot_be_is_refused_by_key() {
    assert!(Host.check(&wanted(NAME, machine())).await.unwrap().is_empty());
    let other = Machine { ephemeral: true, running: false, ..machine() };
    let remarks = Host.check(&wanted("box", other)).await.unwrap();
    let texts: Vec<&str> = remarks.iter().map(|r| r.text.split(':').next().unwrap()).collect();
    assert!(remarks.iter().all(|r| r.refused));
    assert_eq!(
        texts,
        ["ephemeral", "running", "engine host has one machine, this computer; call it host"]
    );
}

#[tokio::test]
async fn a_manager_takes_it_on_and_forgets_it() {
    let folder = tempfile::tempdir().unwrap();
    let manager = Manager::open(folder.path(), [Arc::new(Host) as Arc<dyn Engine>]).unwrap();
    manager.scratch(NAME, machine()).await.unwrap();
    manager.up(NAME).await.unwrap();
    let stop = manager.down(NAME).await.unwrap_err();
    assert!(stop.to_string().contains("not Stead's to stop"), "{stop}");
    let other = manager.scratch("box", machine()).await.unwrap_err();
    assert!(other.to_string().contains("has one machine"), "{other}");
    assert_eq!(manager.what_goes(NAME).await.unwrap(), ["its record; this computer stays"]);
    manager.destroy(NAME).await.unwrap();
    assert!(manager.records().list().unwrap().records.is_empty());
}
