//! Certificate authorities of tests, and what they sign.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

/// What the API server makes of its `--service-cluster-ip-range` for the Service `kubernetes`.
pub(crate) const SERVICE_ADDRESS: &str = "10.96.0.1";

/// A certificate and its key, both PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// A certificate authority.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let mut params = named("oauth-keeper test CA", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(params, key()).expect("the CA can sign itself");
        Self { issuer }
    }

    /// The certificate of the authority, PEM.
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// For a server or a client of that host name.
    pub fn host(&self, name: &str) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).expect("the name is valid");
        // With the authority's own name it would pass for self-signed.
        params.distinguished_name.push(DnType::CommonName, name);
        let both = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, &both)
    }

    /// For an API server on loopback.
    pub(crate) fn server(&self) -> Identity {
        let names = ["127.0.0.1", "localhost", "kubernetes.default.svc", SERVICE_ADDRESS];
        let names = names.map(str::to_owned);
        let mut params = CertificateParams::new(names).expect("the names are valid");
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        self.sign(params, &[ExtendedKeyUsagePurpose::ServerAuth])
    }

    /// For a client whom Kubernetes knows as this user in this group.
    pub(crate) fn client(&self, user: &str, group: &str) -> Identity {
        self.sign(named(user, Some(group)), &[ExtendedKeyUsagePurpose::ClientAuth])
    }

    fn sign(&self, mut params: CertificateParams, usages: &[ExtendedKeyUsagePurpose]) -> Identity {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages.to_vec();
        let key = key();
        let certificate = params.signed_by(&key, &self.issuer).expect("the CA can sign");
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// The key pair that signs ServiceAccount tokens: (private, public), PEM.
pub(crate) fn signing_keys() -> (String, String) {
    let key = key();
    (key.serialize_pem(), key.public_key_pem())
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key can be generated")
}

fn named(common_name: &str, organization: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    if let Some(organization) = organization {
        params.distinguished_name.push(DnType::OrganizationName, organization);
    }
    params
}
