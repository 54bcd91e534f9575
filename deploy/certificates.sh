#!/bin/sh
# A certificate authority for the broker's TLS listener, for sites that have none of their own:
#
#   sh deploy/certificates.sh init broker.example.jp   the CA, the broker's certificate, an empty revocation list
#   sh deploy/certificates.sh site h001 [DAYS]         key and certificate of a site (90 days)
#   sh deploy/certificates.sh revoke h001              puts it on the revocation list
#   sh deploy/certificates.sh renew                    a new revocation list, due before 30 days have passed
#
# Everything lands in deploy/secrets/tls (or $CTG_TLS_DIR); what the broker needs, and nothing else, in broker/ below.
# ca.key signs for whoever holds it: keep it off the broker's machine if you can.
# Afterwards: docker compose restart mosquitto
set -eu
umask 077

fail() {
    echo "certificates: $1" >&2
    exit 1
}

dir=${CTG_TLS_DIR:-$(dirname "$0")/secrets/tls}
command -v openssl >/dev/null 2>&1 || fail "openssl is needed"
mkdir -p "$dir"
cd "$dir"

write_config() {
    cat >ca.cnf <<'CNF'
[ca]
default_ca = here
[here]
database = index.txt
serial = serial
crlnumber = crlnumber
new_certs_dir = issued
certificate = ca.crt
private_key = ca.key
default_md = sha256
default_crl_days = 30
policy = name_only
unique_subject = no
[name_only]
commonName = supplied
[req]
distinguished_name = empty
[empty]
[authority]
basicConstraints = critical, CA:true, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
subjectAltName = ${ENV::CTG_BROKER_NAMES}
[site]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
authorityKeyIdentifier = keyid
CNF
}

issue() {
    # issue NAME COMMON_NAME EXTENSIONS DAYS
    openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
    openssl req -new -config ca.cnf -key "$1.key" -subj "/CN=$2" -out "$1.csr"
    openssl ca -batch -notext -config ca.cnf -extensions "$3" -days "$4" -in "$1.csr" -out "$1.crt" 2>ca.log ||
        fail "$(cat ca.log)"
    rm -f "$1.csr"
}

make_list() {
    openssl ca -gencrl -config ca.cnf -out ca.crl.new 2>ca.log || fail "$(cat ca.log)"
    mv ca.crl.new ca.crl
}

hand_over() {
    # The broker reads these as the user of its container, and never sees ca.key.
    mkdir -p broker
    cp ca.crt ca.crl server.crt server.key broker/
    [ "$(id -u)" != 0 ] || chown -R 1883:1883 broker
}

check_site() {
    case $1 in
        "" | hub | monitor | simulator | *[!A-Za-z0-9_-]*) fail "a site's name is made of A-Z a-z 0-9 _ -, got '$1'" ;;
    esac
    [ "${#1}" -le 32 ] || fail "a site's name has at most 32 characters"
}

CTG_BROKER_NAMES=DNS:localhost
export CTG_BROKER_NAMES

case ${1:-} in
    init)
        [ -n "${2:-}" ] || fail "init needs the name under which sites reach the broker"
        [ ! -e ca.key ] || fail "$dir holds a CA already"
        CTG_BROKER_NAMES="DNS:$2,DNS:localhost,IP:127.0.0.1"
        mkdir issued
        : >index.txt
        echo 01 >serial
        echo 01 >crlnumber
        write_config
        openssl ecparam -name prime256v1 -genkey -noout -out ca.key
        openssl req -x509 -new -config ca.cnf -extensions authority -key ca.key -sha256 -days 3650 \
            -subj "/CN=CTG hub CA" -out ca.crt
        issue server "$2" server 365
        make_list
        hand_over
        ;;
    site)
        check_site "${2:-}"
        issue "site-$2" "$2" site "${3:-90}"
        echo "$dir/site-$2.key, $dir/site-$2.crt and $dir/ca.crt go to the site"
        ;;
    revoke)
        check_site "${2:-}"
        openssl ca -config ca.cnf -revoke "site-$2.crt" 2>ca.log || fail "$(cat ca.log)"
        make_list
        hand_over
        ;;
    renew)
        make_list
        hand_over
        ;;
    *) fail "expected init NAME, site NAME [DAYS], revoke NAME or renew" ;;
esac
