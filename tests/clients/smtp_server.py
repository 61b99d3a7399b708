"""A mail server that others wrote (aiosmtpd), on loopback, over TLS and with a password.

smtp_server.py MODE CERTIFICATE KEY USER PASSWORD

MODE is `implicit` or `starttls`. Prints the port, then one JSON object for each mail that it
took: the envelope, and the message as it came. What an address begins with decides what becomes
of a mail: `later` is refused for now, `never` and the sender `nobody` for good, `spam` once the
message was read; `lost` is cut off after the message was taken.
"""

import asyncio
import json
import logging
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult

# It warns of passwords without TLS, because it cannot see that TLS is beneath it.
warnings.simplefilter("ignore")
logging.getLogger("mail.log").setLevel(logging.ERROR)

MODE, CERTIFICATE, KEY, USER, PASSWORD = sys.argv[1:]


class Handler:
    async def handle_MAIL(self, server, session, envelope, address, options):
        if address.startswith("nobody"):
            return "550 5.7.1 this sender may not send"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("later"):
            return "451 4.7.1 greylisted, try again in a while"
        if address.startswith("never"):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if envelope.rcpt_tos[0].startswith("spam"):
            return "554 5.6.0 looks like spam"
        taken = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None or MODE == "implicit",
            "user": session.auth_data.login.decode() if session.auth_data else None,
            "message": envelope.content.decode("ascii"),
        }
        print(json.dumps(taken), flush=True)
        if envelope.rcpt_tos[0].startswith("lost"):
            server.transport.abort()
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    known = data.login == USER.encode() and data.password == PASSWORD.encode()
    return AuthResult(success=known, auth_data=data)


async def main():
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(CERTIFICATE, KEY)
    implicit = MODE == "implicit"

    def protocol():
        return SMTP(
            Handler(),
            hostname="localhost",
            ident="test",
            authenticator=authenticate,
            auth_required=True,
            # Of a connection that is TLS from the first byte the library knows nothing.
            auth_require_tls=not implicit,
            tls_context=None if implicit else tls,
            require_starttls=not implicit,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls if implicit else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
