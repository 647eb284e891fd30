"""The words by which web shells are told: languages and how a file shows its own, sinks, sources, decoders; and joining pieced strings."""

import math
import re
from collections import Counter

LANGUAGES = frozenset({"php", "jsp", "asp", "cgi", "node"})

SINKS = "eval|assert|system|exec|shell_exec|passthru|popen|proc_open|pcntl_exec|create_function|expect_popen|dl|mb_ereg_replace"
CALLS = (
    "call_user_func|call_user_func_array|array_map|array_filter|array_walk|array_reduce|usort|uasort|uksort|"
    "register_shutdown_function|register_tick_function|preg_replace_callback|forward_static_call|iterator_apply|ob_start"
)
DECODERS = (
    "base64_decode|gzinflate|gzuncompress|gzdecode|str_rot13|strrev|hex2bin|convert_uudecode|openssl_decrypt|mcrypt_decrypt|"
    "rawurldecode|urldecode|pack|bzdecompress|html_entity_decode"
)
PHP_INPUT = (
    r"(?:\$_(?:GET|POST|REQUEST|COOKIE|FILES)\b|\$_SERVER\s*\[\s*['\"](?:HTTP_\w+|QUERY_STRING|REQUEST_URI|PATH_INFO)['\"]\s*\]"
    r"|php://input|\bgetallheaders\s*\(|\bapache_request_headers\s*\(|\bfilter_input\s*\(|\$HTTP_(?:GET|POST|COOKIE)_VARS\b"
    r"|\$\{\s*['\"]_(?:GET|POST|REQUEST|COOKIE)['\"]\s*\}|\$GLOBALS\s*\[\s*['\"]_(?:GET|POST|REQUEST|COOKIE)['\"]\s*\])"
)
INCLUDES = r"(?<![\w>:$])(?:include|include_once|require|require_once)\b\s*\(?([^;]{0,300})"
CHAIN = rf"\b({DECODERS})\s*\(\s*(?:\w+\s*\(\s*)*?({DECODERS})\s*\(\s*(?:\w+\s*\(\s*)*?({DECODERS})\s*\("

_STRONG, _MEDIUM = 100, 40
OTHER_LANGUAGES: dict[str, tuple[tuple[str, str, int], ...]] = {
    "jsp": (
        (
            r"getRuntime\s*\(\s*\)\s*\.\s*exec\s*\([^;]{0,300}request\s*\.\s*get(Parameter|Header)",
            "runs what visitors send",
            _STRONG,
        ),
        (
            r"String\s+\b(\w{1,40})\s{0,5}=\s*request\s*\.\s*get(Parameter|Header)[^;]{0,300};.{0,1500}(getRuntime\s*\(\s*\)\s*\.\s*exec|new\s+ProcessBuilder)"
            r"\s*\([^;]{0,300}\b\1\b",
            "runs what visitors send",
            _STRONG,
        ),
        (r"new\s+ProcessBuilder\s*\([^;]{0,300}request\s*\.\s*get", "runs what visitors send", _STRONG),
        (
            r"defineClass\s*\(.{0,400}(request|Base64|decode)|(request|Base64|decode).{0,800}defineClass\s*\(",
            "loads classes that visitors send",
            _STRONG,
        ),
        (r"getEngineByName\s*\(.{0,400}\.eval\s*\([^;]{0,300}request", "runs a script that visitors send", _STRONG),
    ),
    "asp": (
        (r"\beval\s*\(?\s*request", "eval of what visitors send", _STRONG),
        (r"\bexecute(global)?\s*\(?\s*request", "executes what visitors send", _STRONG),
        (
            r"(WScript\.Shell|Shell\.Application).{0,800}\.(run|exec|ShellExecute)\b[^\n]{0,300}request",
            "runs what visitors send",
            _STRONG,
        ),
        (r"request.{0,800}(WScript\.Shell).{0,400}\.(run|exec)\b", "runs what visitors send", _STRONG),
        (
            r"Process\s*\.\s*Start\s*\([^;]{0,300}Request|(StartInfo|ProcessStartInfo)[^;]{0,300};?.{0,400}Arguments\s*=[^;]{0,300}Request",
            "runs what visitors send",
            _STRONG,
        ),
        (
            r"Assembly\s*\.\s*Load\s*\([^;]{0,300}(Request|FromBase64String)",
            "loads programs that visitors send",
            _STRONG,
        ),
    ),
    "cgi": (
        (
            r"(os\.(system|popen|execl?p?)|subprocess\.\w+|exec|eval)\s*\([^\n]{0,300}(FieldStorage|getvalue|QUERY_STRING|form\[|stdin\.read)",
            "runs what visitors send",
            _STRONG,
        ),
        (
            r"\b(\w{1,40})\s{0,5}=\s*[^\n]{0,300}(getvalue|QUERY_STRING|FieldStorage\(\)\[)[^\n]{0,300}\n.{0,1500}(os\.(system|popen)|subprocess\.\w+|\bexec|\beval)\s*\([^\n]{0,300}\b\1\b",
            "runs what visitors send",
            _STRONG,
        ),
        (
            r"(\b(system|exec)\s*\(?|`|qx\W)[^\n;`]{0,300}(\bparam\s*\(|\$ENV\{['\"]?QUERY_STRING)",
            "runs what visitors send",
            _STRONG,
        ),
        (
            r"my\s+\$\b(\w{1,40})\s{0,5}=\s*[^\n;]{0,300}param\s*\([^\n;]{0,300};.{0,1500}(\b(system|exec)\s*\(?\s*|`|qx\W)[^\n;`]{0,300}\$\1\b",
            "runs what visitors send",
            _STRONG,
        ),
        (
            r"\b(eval|sh\s+-c|bash\s+-c)\s+[^\n]{0,300}\$\{?(QUERY_STRING|REQUEST_URI|HTTP_\w+|CONTENT)",
            "runs what visitors send",
            _STRONG,
        ),
        (r"/dev/tcp/\d|\bnc\b[^\n]{0,300}\s-e\s", "opens a shell to somewhere else", _STRONG),
    ),
    "node": (
        (
            r"\b(exec|execSync|spawn|spawnSync|eval|Function)\s*\([^\n;]{0,300}\breq(uest)?\s*\.\s*(query|body|params|headers)",
            "runs what visitors send",
            _STRONG,
        ),
        (
            r"\b(\w{1,40})\s{0,5}=\s*[^\n;]{0,300}\breq(?:uest)?\s*\.\s*(?:query|body|headers)[^\n;]{0,300}[;\n].{0,1500}\b(?:exec|execSync|eval)\s*\(\s*\1\b",
            "runs what visitors send",
            _STRONG,
        ),
        (r"eval\s*\(\s*(Buffer\.from|atob|unescape|decodeURIComponent)\s*\(", "eval of what was packed", _MEDIUM),
    ),
}
"""Patterns, with why and how much, by language."""

_BY_ENDING = (
    (re.compile(r"\.(php\d?|phtml|phar|pht|phps|inc)$", re.I), "php"),
    (re.compile(r"\.(jspx?|jspf|jsw|jsv)$", re.I), "jsp"),
    (re.compile(r"\.(aspx?|ashx|asmx|ascx|cer|asa)$", re.I), "asp"),
    (re.compile(r"\.(cgi|pl|py|sh|rb)$", re.I), "cgi"),
    (re.compile(r"(^|/)\.htaccess$"), "htaccess"),
    (re.compile(r"\.(js|mjs|cjs)$", re.I), "node"),
)


def language(path: str, text: str) -> str:
    """Return php, jsp, asp, cgi, node or htaccess, by the name or by what the content shows; "" for what is none."""
    named = next((name for pattern, name in _BY_ENDING if pattern.search(path)), "")
    if named:
        return named
    if re.search(r"<\?(php\b|=\s*[@$`\w])", text[: 2 << 20], re.I):
        return "php"
    if text.startswith("#!") and re.match(r"#!\s*/\S*\b(sh|bash|dash|perl|python[\d.]*|env)\b", text):
        return "cgi"
    if re.search(r"<%@\s*page\b[^%]*\b(language|import)\b", text[:4096], re.I):
        return "jsp" if "java" in text[:4096].lower() else "asp"
    return ""


def without_comments(code: str) -> str:
    """Return PHP code without its comments; what stands in strings stays."""
    kept = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|/\*.*?\*/|(?://|\#(?!\[))[^\n]*""", re.S)
    return kept.sub(lambda match: match[1] or " ", code)


def joined(code: str) -> str:
    r"""Return code whose strings are joined where they are pieced together (`'sys'.'tem'`), with `\x73` and `\163` as their letters."""
    code = re.sub(r"\\x([0-9a-fA-F]{2})", lambda match: _letter(int(match[1], 16), match[0]), code)
    code = re.sub(r"\\([0-7]{2,3})", lambda match: _letter(int(match[1], 8) & 255, match[0]), code)
    for _ in range(20):
        shorter = re.sub(r"""(['"])([^'"\\\n]{0,200})\1\s*\.\s*(['"])([^'"\\\n]{0,200})\3""", r"'\2\4'", code)
        if shorter == code:
            break
        code = shorter
    return re.sub(r"""\(\s*(['"])(\w+)\1\s*\)\s*\(""", r"\2(", code)


def _letter(number: int, written: str) -> str:
    letter = chr(number)
    return letter if letter.isalnum() or letter in "_/:. " else written


def literals(code: str) -> list[str]:
    """Return the strings of the code, without their marks."""
    return [match[1] or match[2] for match in re.finditer(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'", code)]


def entropy(text: str) -> float:
    """Return Shannon's entropy in bits a letter."""
    counts, size = Counter(text), len(text)
    return -sum(count / size * math.log2(count / size) for count in counts.values()) if size else 0.0
