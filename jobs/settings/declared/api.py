"""Settings of the API and the portal."""

from jobs.settings.address_kinds import SiteUrl, Url
from jobs.settings.kinds import Flag, Names, Text, Whole

YEAR_SECONDS = 31_536_000
HEX_KEY = "[0-9a-f]{64}"
HEX_KEY_FORM = "64 hexadecimal digits (0-9, a-f)"


API_FRESH_SECONDS = Whole(
    "VIEWLEDGER_API_FRESH_SECONDS",
    read_by="api",
    meaning="a count is complete if everything that was on the log this long ago is in it",
    default=5,
    least=2,
    most=3_600,
)
API_ANONYMOUS = Flag(
    "VIEWLEDGER_API_ANONYMOUS",
    read_by="api",
    meaning="0: no route answers without a credential, and creators see only their own videos",
    default=True,
)
API_IMPORT = Flag(
    "VIEWLEDGER_API_IMPORT",
    read_by="api",
    meaning="1: the API imports catalogues, which needs `VIEWLEDGER_PSEUDONYM_KEY`",
    default=False,
)
API_DOCS = Flag(
    "VIEWLEDGER_API_DOCS",
    read_by="api",
    meaning="1: `/docs` shows the API's description as a page",
    default=False,
)
API_LOG_ANSWERS = Flag(
    "VIEWLEDGER_API_LOG_ANSWERS",
    read_by="api",
    meaning="1: every answer is logged; 0: only changes, errors and refusals",
    default=False,
)
API_RATE_ANONYMOUS = Text(
    "VIEWLEDGER_API_RATE_ANONYMOUS",
    read_by="api",
    meaning="how many requests a network may make without a credential",
    default="6000/minute",
    pattern=r"[1-9]\d{0,9}/(second|minute|hour)",
    form="like 600/minute (second, minute or hour)",
)
API_RATE_CALLER = Text(
    "VIEWLEDGER_API_RATE_CALLER",
    read_by="api",
    meaning="how many requests a caller may make with a credential",
    default=API_RATE_ANONYMOUS.default,
    pattern=API_RATE_ANONYMOUS.pattern,
    form=API_RATE_ANONYMOUS.form,
)
API_CURSOR_KEY = Text(
    "VIEWLEDGER_API_CURSOR_KEY",
    read_by="api",
    meaning="signs cursors and the portal's forms; the same in every API process",
    is_secret=True,
    pattern=HEX_KEY,
    form=HEX_KEY_FORM,
)
LOCAL_ISSUER_SEED = Text(
    "VIEWLEDGER_LOCAL_ISSUER_SEED",
    read_by="api, `token`, `demo`",
    meaning="turns on development tokens, while the API listens to this machine alone",
    without="there are no development tokens",
    is_secret=True,
    pattern=HEX_KEY,
    form=HEX_KEY_FORM,
)
OIDC_ISSUER = Text(
    "VIEWLEDGER_OIDC_ISSUER",
    read_by="api",
    meaning="the identity provider whose tokens are accepted; https where people sign in to the portal",
    without="no tokens but development tokens and API keys are accepted",
)
OIDC_AUDIENCE = Text(
    "VIEWLEDGER_OIDC_AUDIENCE",
    read_by="api",
    meaning="the audience that its tokens must have",
    without="refused where `VIEWLEDGER_OIDC_ISSUER` is set",
)
OIDC_JWKS_URL = Url(
    "VIEWLEDGER_OIDC_JWKS_URL",
    read_by="api",
    meaning="its keys; https, or this machine",
    without="refused where `VIEWLEDGER_OIDC_ISSUER` is set",
    schemes=("https", "http"),
)
OIDC_ALGORITHMS = Names(
    "VIEWLEDGER_OIDC_ALGORITHMS",
    read_by="api",
    meaning="the signatures that are accepted",
    default=("RS256", "ES256"),
    known=("RS256", "PS256", "ES256", "ES384", "EdDSA"),
)
OIDC_ROLE_CLAIM = Text("VIEWLEDGER_OIDC_ROLE_CLAIM", read_by="api", meaning="the claim with the role", default="role")
OIDC_PAYEE_CLAIM = Text(
    "VIEWLEDGER_OIDC_PAYEE_CLAIM", read_by="api", meaning="the claim with the payee", default="payee"
)
OIDC_SCOPE_CLAIM = Text(
    "VIEWLEDGER_OIDC_SCOPE_CLAIM", read_by="api", meaning="the claim with the scopes", default="scope"
)
OIDC_CLIENT_ID = Text(
    "VIEWLEDGER_OIDC_CLIENT_ID",
    read_by="api",
    meaning="the portal's client id at the provider; turns on signing in there",
    without="the portal offers no sign-in by a provider",
)
OIDC_CLIENT_SECRET = Text(
    "VIEWLEDGER_OIDC_CLIENT_SECRET",
    read_by="api",
    meaning="the portal's secret at the provider",
    without="the portal is a public client, protected by PKCE alone",
    is_secret=True,
)
OIDC_SCOPE = Text(
    "VIEWLEDGER_OIDC_SCOPE",
    read_by="api",
    meaning="the scopes that the portal requests, separated by spaces; must include `openid`",
    default="openid",
)
PORTAL_URL = SiteUrl(
    "VIEWLEDGER_PORTAL_URL",
    read_by="api, `billing notices send`",
    meaning="the origin of the site in browsers; forms of any other origin are refused",
    without="the request's `Host` is compared; refused where `VIEWLEDGER_OIDC_CLIENT_ID` is set. Notices have no links",
    schemes=("https", "http"),
)
PORTAL_SECURE_COOKIES = Flag(
    "VIEWLEDGER_PORTAL_SECURE_COOKIES",
    read_by="api",
    meaning="1: browsers send the portal's cookies over HTTPS only",
    default=True,
)
HSTS_SECONDS = Whole(
    "VIEWLEDGER_HSTS_SECONDS",
    read_by="api",
    meaning="how long browsers must use HTTPS only; 0: the header is not sent",
    without=f"{YEAR_SECONDS} where `VIEWLEDGER_PORTAL_SECURE_COOKIES` is 1, else 0",
    least=0,
    most=10 * YEAR_SECONDS,
)
