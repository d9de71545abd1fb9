//! A real Apache Kafka: combined KRaft nodes with a SASL_SSL listener under a private CA, and a plain one for our own hands.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    doors::{Door, Doors},
    parts,
    pki::Ca,
    process::{Child, free_port},
    requests::jmx,
    wait,
};

/// How a Kafka differs from the usual one.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    /// Combined nodes: one or three.
    pub brokers: usize,
    /// Apache Kafka's version.
    pub version: String,
    /// Users of PLAIN besides [`Kafka::USER`], with its password. With any, Kafka's own authorizer lets nobody but
    /// [`Kafka::USER`] and the plain listener do anything, until it is allowed, and there is every [`Door`].
    pub users: Vec<&'static str>,
    /// Counts requests for [`Kafka::requests`].
    pub counted: bool,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self {
            brokers: 1,
            version: parts::KAFKA.into(),
            users: Vec::new(),
            counted: false,
        }
    }
}

/// A running cluster.
pub struct Kafka {
    brokers: Vec<Broker>,
    /// Signs the brokers' certificates.
    pub ca: Ca,
    class_path: String,
}

struct Broker {
    dir: PathBuf,
    sasl_port: u16,
    plain_port: u16,
    doors: Option<Doors>,
    /// Its JMX, where requests are counted.
    jmx_port: Option<u16>,
    child: Option<Child>,
}

impl Kafka {
    /// A user that may do everything; every SCRAM mechanism and PLAIN know it.
    pub const USER: &'static str = "story";
    /// Its password.
    pub const PASSWORD: &'static str = "story-password";
    /// Scopes that a token must be for.
    pub const SCOPES: [&'static str; 2] = ["lag", "offsets"];

    /// Starts a cluster in `dir`/`name` and returns when every broker answers.
    pub async fn start(dir: &Path, name: &str, options: &KafkaOptions) -> Self {
        let class_path = parts::kafka(&options.version);
        let ca = Ca::new("kafka");
        let controllers: Vec<u16> = (0..options.brokers).map(|_| free_port()).collect();
        let mut brokers = Vec::new();
        for (id, controller) in controllers.iter().enumerate() {
            let dir = dir.join(format!("{name}-{id}"));
            fs::create_dir_all(&dir).expect("a folder");
            let broker = Broker {
                dir,
                sasl_port: free_port(),
                plain_port: free_port(),
                doors: (!options.users.is_empty()).then(Doors::new),
                jmx_port: options.counted.then(free_port),
                child: None,
            };
            broker.configure(id, *controller, &controllers, &ca, options);
            brokers.push(broker);
        }
        let formats: Vec<_> = brokers
            .iter()
            .map(|b| b.format(&class_path, &options.version))
            .collect();
        for format in formats {
            let output = tokio::task::spawn_blocking(move || {
                let mut format = format;
                format.output().expect("java runs")
            });
            let output = output.await.expect("formatting");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                output.status.success(),
                "formatting Kafka's storage: {said}"
            );
        }
        let mut kafka = Self {
            brokers,
            ca,
            class_path,
        };
        for id in 0..kafka.brokers.len() {
            kafka.launch(id);
        }
        for id in 0..kafka.brokers.len() {
            kafka.answers(id).await;
        }
        kafka
    }

    /// `localhost:port,...` of the SASL_SSL listeners.
    pub fn bootstrap(&self) -> String {
        let each = self
            .brokers
            .iter()
            .map(|b| format!("localhost:{}", b.sasl_port));
        each.collect::<Vec<_>>().join(",")
    }

    /// The plain listeners.
    pub fn plaintext_bootstrap(&self) -> String {
        let each = self
            .brokers
            .iter()
            .map(|b| format!("localhost:{}", b.plain_port));
        each.collect::<Vec<_>>().join(",")
    }

    /// `localhost:port` of a further listener of the first broker.
    pub fn door(&self, door: Door) -> String {
        format!("localhost:{}", self.doors().port(door))
    }

    /// The certificate behind [`Door::Anchor`].
    pub fn anchor(&self) -> &str {
        &self.doors().anchor.cert
    }

    fn doors(&self) -> &Doors {
        self.brokers[0].doors.as_ref().expect("a guarded Kafka")
    }

    pub(crate) fn jmx_ports(&self) -> impl Iterator<Item = u16> {
        self.brokers.iter().filter_map(|broker| broker.jmx_port)
    }

    /// Ports of the plain listeners.
    pub fn plain_ports(&self) -> impl Iterator<Item = u16> {
        self.brokers.iter().map(|broker| broker.plain_port)
    }

    pub(crate) fn plain_port(&self) -> u16 {
        self.brokers[0].plain_port
    }

    /// SIGSTOP: it keeps its connections and answers nothing.
    pub fn freeze(&self, id: usize) {
        self.signal(id, Signal::STOP);
    }

    /// SIGCONT.
    pub fn thaw(&self, id: usize) {
        self.signal(id, Signal::CONT);
    }

    /// SIGKILL.
    pub fn kill(&mut self, id: usize) {
        self.brokers[id].child = None;
    }

    /// Starts a killed broker again, on its old ports and data, and waits until it answers.
    pub async fn restart(&mut self, id: usize) {
        self.launch(id);
        self.answers(id).await;
    }

    fn signal(&self, id: usize, signal: Signal) {
        let child = self.brokers[id].child.as_ref();
        child.expect("a running broker").signal(signal);
    }

    fn launch(&mut self, id: usize) {
        let broker = &mut self.brokers[id];
        let mut command = java(&self.class_path, &broker.dir);
        command.args(broker.jmx_port.into_iter().flat_map(jmx));
        command.arg("kafka.Kafka").arg("server.properties");
        let log = broker.dir.join("broker.log");
        broker.child = Some(Child::spawn("kafka", &mut command, &log));
    }

    async fn answers(&mut self, id: usize) {
        let broker = &mut self.brokers[id];
        let port = broker.plain_port;
        let child = broker.child.as_mut().expect("a launched broker");
        wait::until("a broker to answer", Duration::from_secs(180), async || {
            child.must_live();
            Self::serves(port).await
        })
        .await;
    }
}

impl Broker {
    fn configure(
        &self,
        id: usize,
        controller: u16,
        controllers: &[u16],
        ca: &Ca,
        options: &KafkaOptions,
    ) {
        // Kafka 2.8 takes PEM keys only when they are encrypted; it is asked without TLS.
        let protocol = if options.version.starts_with('2') {
            "SASL_PLAINTEXT"
        } else {
            "SASL_SSL"
        };
        let identity = ca.sign("kafka", None, &["localhost", "127.0.0.1"]);
        let store = format!("{}{}{}", identity.key, identity.cert, ca.pem);
        fs::write(self.dir.join("keystore.pem"), store).expect("a key store");
        fs::write(self.dir.join("truststore.pem"), &ca.pem).expect("a trust store");
        let voters = controllers.iter().enumerate();
        let voters: Vec<_> = voters.map(|(i, p)| format!("{i}@localhost:{p}")).collect();
        let replicas = controllers.len().min(2);
        let (sasl, plain) = (self.sasl_port, self.plain_port);
        let users = [Kafka::USER]
            .into_iter()
            .chain(options.users.iter().copied());
        let users = users.map(|user| format!("user_{user}=\"{}\"", Kafka::PASSWORD));
        let users = users.collect::<Vec<_>>().join(" ");
        let doors = self.doors.as_ref();
        let (listeners, protocols, more) = match doors {
            Some(doors) => (
                doors.listeners(),
                Doors::PROTOCOLS,
                doors.configure(&self.dir, &users),
            ),
            None => (String::new(), "", String::new()),
        };
        let text = format!(
            "process.roles=broker,controller
node.id={id}
controller.quorum.voters={}
controller.listener.names=CONTROLLER
listeners=CLIENT://localhost:{sasl},PLAIN://localhost:{plain},CONTROLLER://localhost:{controller}{listeners}
advertised.listeners=CLIENT://localhost:{sasl},PLAIN://localhost:{plain}{listeners}
listener.security.protocol.map=CLIENT:{protocol},PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}
inter.broker.listener.name=PLAIN
sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256,PLAIN
listener.name.client.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.client.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.client.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {users};
ssl.keystore.type=PEM
ssl.keystore.location=keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location=truststore.pem
log.dirs=data
auto.create.topics.enable=false
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.consumer.heartbeat.interval.ms=1000
group.consumer.min.heartbeat.interval.ms=500
group.consumer.session.timeout.ms=10000
group.consumer.min.session.timeout.ms=6000
{more}",
            voters.join(",")
        );
        fs::write(self.dir.join("server.properties"), text).expect("server.properties");
        let log4j = "<Configuration><Appenders><Console name=\"C\"><PatternLayout pattern=\"%d %p %c{1} %m%n\"/></Console></Appenders><Loggers><Root level=\"warn\"><AppenderRef ref=\"C\"/></Root></Loggers></Configuration>";
        fs::write(self.dir.join("log4j2.xml"), log4j).expect("log4j2.xml");
        let log4j = "log4j.rootLogger=WARN,C
log4j.appender.C=org.apache.log4j.ConsoleAppender
log4j.appender.C.layout=org.apache.log4j.SimpleLayout
";
        fs::write(self.dir.join("log4j.properties"), log4j).expect("log4j.properties");
    }

    fn format(&self, class_path: &str, version: &str) -> Command {
        let scram = |mechanism: &str| {
            format!(
                "{mechanism}=[name={},password={}]",
                Kafka::USER,
                Kafka::PASSWORD
            )
        };
        let mut command = java(class_path, &self.dir);
        command.args([
            "kafka.tools.StorageTool",
            "format",
            "-t",
            "bGFnc2NhbGUtYmVkLTAwMQ",
        ]);
        command.args(["-c", "server.properties"]);
        // Before 3.5 KRaft keeps no SCRAM users; PLAIN does.
        if !version.starts_with('2') {
            command.args(["--add-scram", &scram("SCRAM-SHA-512")]);
            command.args(["--add-scram", &scram("SCRAM-SHA-256")]);
        }
        command
    }
}

fn java(class_path: &str, dir: &Path) -> Command {
    let mut command = Command::new("java");
    command.args(["-XX:TieredStopAtLevel=1", "-Xmx512m", "-XX:+UseSerialGC"]);
    command.arg(format!(
        "-Dlog4j2.configurationFile={}",
        dir.join("log4j2.xml").display()
    ));
    // Before 4.0 it is log4j 1.
    command.arg(format!(
        "-Dlog4j.configuration=file:{}",
        dir.join("log4j.properties").display()
    ));
    command.args(["-cp", class_path]);
    command.current_dir(dir);
    command
}
