//! Numbers and GUIDs of the types against `windows-sys`, which is generated from the SDK's metadata.
#![allow(clippy::unwrap_used, clippy::items_after_statements, reason = "a test")]

use openwfp_api::*;
use windows_sys::Win32::NetworkManagement::WindowsFilteringPlatform as win;

fn ours(guid: windows_sys::core::GUID) -> Guid {
    Guid::new(guid.data1, guid.data2, guid.data3, guid.data4)
}

#[test]
fn built_in_guids_have_their_names() {
    use openwfp_api::guids;
    for (name, guid) in [
        ("FWPM_CONDITION_IP_LOCAL_ADDRESS", win::FWPM_CONDITION_IP_LOCAL_ADDRESS),
        ("FWPM_CONDITION_IP_REMOTE_PORT", win::FWPM_CONDITION_IP_REMOTE_PORT),
        ("FWPM_LAYER_IKEEXT_V6", win::FWPM_LAYER_IKEEXT_V6),
        ("FWPM_SUBLAYER_IPSEC_TUNNEL", win::FWPM_SUBLAYER_IPSEC_TUNNEL),
        ("FWPM_CALLOUT_IPSEC_OUTBOUND_TUNNEL_V4", win::FWPM_CALLOUT_IPSEC_OUTBOUND_TUNNEL_V4),
        ("FWPM_PROVIDER_IKEEXT", win::FWPM_PROVIDER_IKEEXT),
        ("FWPM_KEYING_MODULE_IKEV2", win::FWPM_KEYING_MODULE_IKEV2),
    ] {
        assert_eq!(guids::by_name(name), Some(ours(guid)), "{name}");
        assert_eq!(guids::name(ours(guid)), Some(name));
    }
}

#[test]
fn filters_stand_at_the_transport_layers_of_what_they_select() {
    let layer = |local: &str, remote: &str, inner: Option<&str>, direction| {
        let endpoints = Endpoints::new(local.parse().unwrap(), remote.parse().unwrap()).unwrap();
        let mut context = SaContext::new(SaContextId(1), Traffic::new(endpoints, Mode::Tunnel));
        if let Some(inner) = inner {
            let any = SelectorPorts::default();
            let network: IpNet = inner.parse().unwrap();
            let selector =
                Selector { local: network, remote: network, protocol: 0, local_port: any, remote_port: any };
            context.selectors = selector.into();
        }
        let auth = Auth { algorithm: AuthAlgorithm::HmacSha1, icv_bits: 96, key: Key::new(&[1; 20]) };
        let sa = Sa { spi: Spi::new(256).unwrap(), transform: Transform::Ah(auth), linux: None };
        let details = SaDetails {
            filter_id: FilterId(5),
            bundle: SaBundle::new(SaList::one(sa)),
            udp_encapsulation: None,
            virtual_if_tunnel: None,
        };
        context.inbound = Some(details.clone());
        context.outbound = Some(details);
        let filter = context.transport_filter(direction).unwrap();
        assert_eq!(filter.filter_id(), FilterId(5));
        filter.layer_key()
    };
    use Direction::Inbound;
    use Direction::Outbound;
    assert_eq!(layer("10.0.0.1", "10.0.0.2", None, Inbound), ours(win::FWPM_LAYER_INBOUND_TRANSPORT_V4));
    assert_eq!(layer("fd00::1", "fd00::2", None, Outbound), ours(win::FWPM_LAYER_OUTBOUND_TRANSPORT_V6));
    // IPv6 inside IPv4, and the other way round.
    let six_in_four = layer("10.0.0.1", "10.0.0.2", Some("fd00::/64"), Inbound);
    assert_eq!(six_in_four, ours(win::FWPM_LAYER_INBOUND_TRANSPORT_V6));
    let four_in_six = layer("fd00::1", "fd00::2", Some("10.0.0.0/8"), Outbound);
    assert_eq!(four_in_six, ours(win::FWPM_LAYER_OUTBOUND_TRANSPORT_V4));
}

#[test]
fn rights_are_windows_bits() {
    for (right, bits) in [
        (Rights::ADD, win::FWPM_ACTRL_ADD),
        (Rights::ADD_LINK, win::FWPM_ACTRL_ADD_LINK),
        (Rights::BEGIN_READ_TXN, win::FWPM_ACTRL_BEGIN_READ_TXN),
        (Rights::BEGIN_WRITE_TXN, win::FWPM_ACTRL_BEGIN_WRITE_TXN),
        (Rights::CLASSIFY, win::FWPM_ACTRL_CLASSIFY),
        (Rights::ENUM, win::FWPM_ACTRL_ENUM),
        (Rights::OPEN, win::FWPM_ACTRL_OPEN),
        (Rights::READ, win::FWPM_ACTRL_READ),
        (Rights::READ_STATS, win::FWPM_ACTRL_READ_STATS),
        (Rights::SUBSCRIBE, win::FWPM_ACTRL_SUBSCRIBE),
        (Rights::WRITE, win::FWPM_ACTRL_WRITE),
    ] {
        assert_eq!(right.0, bits, "{right:?}");
    }
}

#[test]
fn enumerators_have_windows_numbers() {
    for (group, number) in [
        (PfsGroup::None, win::IPSEC_PFS_NONE),
        (PfsGroup::Group1, win::IPSEC_PFS_1),
        (PfsGroup::Group2, win::IPSEC_PFS_2),
        (PfsGroup::Group14, win::IPSEC_PFS_14),
        (PfsGroup::Ecp256, win::IPSEC_PFS_ECP_256),
        (PfsGroup::Ecp384, win::IPSEC_PFS_ECP_384),
        (PfsGroup::MainMode, win::IPSEC_PFS_MM),
        (PfsGroup::Group24, win::IPSEC_PFS_24),
    ] {
        assert_eq!(group as i32, number, "{group:?}");
    }
    assert_eq!(TransformType::Ah as i32, win::IPSEC_TRANSFORM_AH);
    assert_eq!(TransformType::EspAuth as i32, win::IPSEC_TRANSFORM_ESP_AUTH);
    assert_eq!(TransformType::EspCipher as i32, win::IPSEC_TRANSFORM_ESP_CIPHER);
    assert_eq!(TransformType::EspAuthAndCipher as i32, win::IPSEC_TRANSFORM_ESP_AUTH_AND_CIPHER);
    assert_eq!(object::MatchType::Equal.wfp().cast_signed(), win::FWP_MATCH_EQUAL);
    assert_eq!(object::MatchType::Range.wfp().cast_signed(), win::FWP_MATCH_RANGE);
}

#[test]
fn transforms_have_windows_types_and_configurations() {
    let auth = |algorithm, icv_bits, key: usize| {
        let transform = Transform::Ah(Auth { algorithm, icv_bits, key: Key::new(&vec![1; key]) });
        let auth = transform.wfp().auth.unwrap();
        (i32::try_from(auth.auth_type).unwrap(), u32::from(auth.auth_config))
    };
    use AuthAlgorithm as A;
    let md5 = (win::IPSEC_AUTH_MD5, win::IPSEC_AUTH_CONFIG_HMAC_MD5_96);
    assert_eq!(auth(A::HmacMd5, 96, 16), md5);
    assert_eq!(auth(A::HmacSha1, 96, 20), (win::IPSEC_AUTH_SHA_1, win::IPSEC_AUTH_CONFIG_HMAC_SHA_1_96));
    let sha_256 = (win::IPSEC_AUTH_SHA_256, win::IPSEC_AUTH_CONFIG_HMAC_SHA_256_128);
    assert_eq!(auth(A::HmacSha256, 128, 32), sha_256);
    let gmac_192 = (win::IPSEC_AUTH_AES_192, win::IPSEC_AUTH_CONFIG_GCM_AES_192);
    assert_eq!(auth(A::AesGmac, 128, 28), gmac_192);
    assert_eq!(auth(A::HmacSha512, 256, 64), (win::IPSEC_AUTH_MAX, win::IPSEC_AUTH_CONFIG_MAX));

    let cipher = |algorithm, key: usize| {
        let transform = Transform::EspCipher(Cipher { algorithm, key: Key::new(&vec![1; key]) });
        let cipher = transform.wfp().cipher.unwrap();
        (i32::try_from(cipher.cipher_type).unwrap(), u32::from(cipher.cipher_config))
    };
    use CipherAlgorithm as C;
    assert_eq!(cipher(C::DesCbc, 8), (win::IPSEC_CIPHER_TYPE_DES, win::IPSEC_CIPHER_CONFIG_CBC_DES));
    assert_eq!(cipher(C::TripleDesCbc, 24), (win::IPSEC_CIPHER_TYPE_3DES, win::IPSEC_CIPHER_CONFIG_CBC_3DES));
    let aes_256 = (win::IPSEC_CIPHER_TYPE_AES_256, win::IPSEC_CIPHER_CONFIG_CBC_AES_256);
    assert_eq!(cipher(C::AesCbc, 32), aes_256);
    assert_eq!(cipher(C::CamelliaCbc, 32), (win::IPSEC_CIPHER_TYPE_MAX, win::IPSEC_CIPHER_CONFIG_MAX));

    let aead = Aead { algorithm: AeadAlgorithm::AesGcm, icv_bits: 128, key: Key::new(&[1; 36]) };
    let cipher = Transform::EspAead(aead).wfp().cipher.unwrap();
    assert_eq!(cipher.cipher_type, win::IPSEC_CIPHER_TYPE_AES_256.cast_unsigned());
    assert_eq!(u32::from(cipher.cipher_config), win::IPSEC_CIPHER_CONFIG_GCM_AES_256);
}
