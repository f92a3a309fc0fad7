"""Which columns may hold secrets or personal data, by their names alone, English or French. Pure.

A name is read word by word, whatever joins the words: `apiKey`, `api_key` and `cle-api` are two words each.
What it holds is what its last words say: `email_verified_at` holds no address, `contact_email_2` does.
"""

from __future__ import annotations

import re
import unicodedata

from raccord.database.tables import Column, Table

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SINGULAR = {"addresses": "address", "adresses": "adresse"}


def words(name: str) -> tuple[str, ...]:
    """The words of a name, lower case, without accents, in the singular."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return tuple(_singular(word.lower()) for word in _WORD.findall(plain))


def _singular(word: str) -> str:
    ends = len(word) > 3 and word[-1] == "s" and word[-2] != "s"
    return _SINGULAR.get(word, word[:-1] if ends else word)


def _phrases(text: str) -> frozenset[tuple[str, ...]]:
    """Phrases with commas between them, and each as one word besides."""
    found = [words(phrase) for phrase in text.split(",")]
    return frozenset({*found, *(("".join(one),) for one in found)})


def _alone(text: str) -> frozenset[str]:
    """The words of such a list, each alone."""
    return frozenset(word for one in text.split(",") for word in words(one))


# What may stand behind the words that say what a column holds.
_BEHIND = _alone("""
argon2, b64, backup, bcrypt, cipher, ciphertext, clean, clear, current, digest, enc, encrypted, hash,
hashed, hex, home, lower, md5, new, normalise, normalized, old, perso, personal, plain, prev, previous,
primary, pro, raw, sealed, secondary, sha1, sha256, text, trimmed, upper, value, valeur, work, 1, 2, 3, 4
""")

_SECRETS = _phrases("""
access key, account key, acces cle, activation code, api cle, api key, apikey, authorization, backup code,
bearer, certificate key, cle acces, cle api, cle chiffrement, cle d acces, cle de chiffrement, cle prive,
cle privee, cle secrete, client secret, code acces, code confidentiel, code d acces, code secret,
connection string, cookie, cred, credential, cvc, cvv, database url, dsn, encryption key, hmac key, jeton,
jwt, license key, master key, mdp, mot de passe, mot passe, motdepasse, one time code, otp, otp seed,
pass, passcode, passphrase, passwd, password, phrase de passe, phrase secrete, pin, pin code, private key,
privatekey, pwd, recovery code, reset code, salt, secret, secret key, secretkey, service key, session key,
shared key, signing key, ssh key, token, totp, totp seed, verification code, webhook url
""")
# Those of which a number may be one.
_NUMBERS = _phrases("""
code confidentiel, code secret, cvc, cvv, one time code, otp, passcode, pin, pin code, recovery code,
reset code, totp, verification code
""")
_PERSONAL = {
    "email": _phrases("""
adresse electronique, adresse email, adresse mail, courriel, e mail, e mail address, email, email address,
mail, mail address, mel
"""),
    "ip": _phrases("""
addr ip, adresse ip, client ip, ip, ip addr, ip address, ipaddr, ipv4, ipv6, remote addr
"""),
    "hash": _phrases("""
account number, bban, bsn, card number, carte bancaire, carte vitale, cni, credit card, iban, id card,
identity number, license number, mac addr, mac address, national id, national number, nif, nir, niss, no
compte, numero carte, numero compte, numero de compte, numero de securite sociale, numero national, numero
permis, numero securite sociale, pan, passeport, passport, passport number, permis de conduire, personal
number, rib, secu, securite sociale, social security, social security number, ssn, tax id, tax number
"""),
    "date": _phrases("""
anniversaire, birth, birth date, birthdate, birthday, born, born at, born on, date de naissance, date
naissance, date of birth, dob, naissance, ne le
"""),
    "phone": _phrases("""
cell, cellphone, fax, gsm, mobile, mobile number, msisdn, numero de telephone, numero telephone, phone,
phone number, portable, tel, telephone, telephone number
"""),
    "name": _phrases("""
family name, first name, firstname, forename, full name, fullname, given name, last name, lastname, login,
maiden name, middle name, name, nickname, nom, nom complet, nom d usage, nom de famille, nom famille, nom
naissance, patronyme, prenom, pseudo, surname, user name, username
"""),
    "address": _phrases("""
addr, address, address line, adresse, adresse postale, birth place, code postal, lieu de naissance, lieu
naissance, place of birth, postal address, postal code, postcode, rue, street, street address, zip, zip
code, zipcode
"""),
}
# What has a name and is no person.
_THINGS = _alone("""
action, application, app, attribute, bucket, campaign, categorie, category, channel, class, code,
collection, column, component, config, constraint, country, currency, database, dataset, department,
device, domain, enum, event, extension, feature, field, fichier, file, filter, flag, folder, function,
group, host, icon, index, item, job, key, label, lang, langage, language, locale, log, metric, migration,
mode, model, module, nav, node, object, option, page, package, param, parameter, parametre, permission,
plan, plugin, port, product, produit, profile, project, projet, property, queue, region, resource, role,
route, rubrique, rule, schema, script, section, sequence, server, service, setting, source, stage, state,
status, step, tab, table, tag, tarif, task, tax, template, tenant, theme, timezone, topic, type, unit,
variable, version, view, widget, workflow, zone
""")
_WHOLE = frozenset({"int2", "int4", "int8", "numeric"})
_DATES = frozenset({"date", "timestamp", "timestamptz"})
_ADDRESSES = frozenset({"inet", "cidr", "macaddr", "macaddr8"})
_KEYED = _phrases("""
config, configuration, credential, env, environment, keystore, param, parameter, parametre, reglage,
secret, setting, variable, vault
""")
_KEYS = frozenset({"key", "name", "setting", "cle", "nom", "parametre", "param", "parameter", "variable"})
_VALUES = frozenset({"value", "val", "valeur", "secret value", "contenu", "content", "data", "payload"})
_OWN = frozenset({"key", "cle", "hash", "digest", "value", "val", "valeur", "code", "content", "data"})


def _ends(name: tuple[str, ...], phrases: frozenset[tuple[str, ...]]) -> tuple[str, ...]:
    """The longest of some phrases that a name ends with; () for none."""
    while name:
        for start in range(len(name)):
            if name[start:] in phrases:
                return name[start:]
        if name[-1] not in _BEHIND:
            return ()
        name = name[:-1]
    return ()


def is_secret(table: Table, column: Column) -> bool:
    """Whether a column may hold secrets: by its own name, or as the value in a table of settings."""
    name = words(column.name)
    holds = _bytes(column) or column.binary == "uuid"
    if found := _ends(name, _SECRETS):
        return holds or (column.binary in _WHOLE and found in _NUMBERS)
    if not holds:
        return False
    of = words(table.name)
    if _ends(of, _KEYED):
        others = {" ".join(words(one.name)) for one in table.columns}
        return " ".join(name) in _VALUES and bool(others & _KEYS)
    return bool(_ends(of, _SECRETS)) and " ".join(name) in _OWN


def personal(table: Table, column: Column) -> str:
    """What kind of personal data a column may hold: the name of the mask that fits it best; "" for none."""
    if column.generated:
        return ""
    name = words(column.name)
    for mask, phrases in _PERSONAL.items():
        found = _ends(name, phrases)
        if found and _holds(mask, column):
            if mask == "name" and found in (("name",), ("nom",)) and _thing(table, name):
                return ""
            return "hash" if mask == "address" else mask
    return ""


def _thing(table: Table, name: tuple[str, ...]) -> bool:
    """Whether a name is that of a thing: `file_name`, or `name` in a table of files."""
    before = name[:-1] if name[-1] in ("name", "nom") else ()
    last = before[-1:] or words(table.name)[-1:]
    return not _THINGS.isdisjoint(last)


def _bytes(column: Column) -> bool:
    """Whether anything may stand in it."""
    return column.texts or "bytea" in column.type or not column.type


def _holds(mask: str, column: Column) -> bool:
    if _bytes(column):
        return True
    return column.binary in {
        "hash": _WHOLE | _ADDRESSES,
        "phone": _WHOLE,
        "date": _DATES,
        "ip": _ADDRESSES,
    }.get(mask, frozenset())
