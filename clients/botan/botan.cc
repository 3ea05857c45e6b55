// Botan 2 and 3 with their default policy and their default tls_verify_cert_chain(); what an option changes is said there.
extern "C" {
#include "kit.h"
}

#include "reasons.h"

#include <botan/auto_rng.h>
#include <botan/certstor.h>
#include <botan/credentials_manager.h>
#include <botan/data_src.h>
#include <botan/tls_callbacks.h>
#include <botan/tls_client.h>
#include <botan/tls_exceptn.h>
#include <botan/tls_handshake_msg.h>
#include <botan/tls_policy.h>
#include <botan/tls_session.h>
#include <botan/tls_session_manager.h>
#include <botan/version.h>

#if BOTAN_VERSION_MAJOR >= 3
#include <botan/tls_session_manager_noop.h>
#endif

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace {

using Time = std::chrono::system_clock::time_point;

struct {
	Time now;
	bool set;
	unsigned reads; // in this probe
} lab_clock;

Time read_clock()
{
	lab_clock.reads++;
	return lab_clock.set ? lab_clock.now : Time();
}

} // namespace

#if BOTAN_VERSION_MAJOR < 3
// Botan 2 asks std::chrono, and offers no other way in: the linker turns every call of system_clock::now() in this
// static program into one of this (--wrap).  A report names the clock only where Botan read it here.
extern "C" Time __wrap__ZNSt6chrono3_V212system_clock3nowEv();
extern "C" Time __wrap__ZNSt6chrono3_V212system_clock3nowEv()
{
	return read_clock();
}
#endif

namespace {

using namespace Botan;

#if BOTAN_VERSION_MAJOR >= 3
using Name = std::string_view;
using Ocsp = std::optional<OCSP::Response>;
#else
using Name = const std::string &;
using Ocsp = std::shared_ptr<const OCSP::Response>;
#endif

constexpr int server_hello = 2, close_notify = 0; // as they are on the wire

// By default a path is not trusted without a valid CRL or OCSP response, and most sites of the web would fail.
class Policy : public TLS::Policy {
public:
	explicit Policy(bool optional) : revocation_optional(optional) {}
	bool require_cert_revocation_info() const override { return !revocation_optional; }

private:
	bool revocation_optional;
};

class Credentials : public Credentials_Manager {
public:
	std::vector<Certificate_Store *> trusted_certificate_authorities(const std::string &,
	                                                                 const std::string &) override
	{
		return {&store};
	}

	void load(const char *pem);

private:
	Certificate_Store_In_Memory store;
};

void Credentials::load(const char *pem)
{
	static const char end[] = "-----END CERTIFICATE-----";
	const char *next;

	for (; (next = std::strstr(pem, end)) != nullptr; pem = next) {
		next += sizeof end - 1;
		DataSource_Memory source(std::string(pem, next));
		store.add_certificate(X509_Certificate(source));
	}
	if (pem[std::strspn(pem, " \t\r\n")] != '\0')
		throw Decoding_Error("no certificate");
}

class Session : public TLS::Callbacks {
public:
	Session(kit_conn *connection, kit_report *out) : conn(connection), report(out) {}

#if BOTAN_VERSION_MAJOR >= 3
	void tls_emit_data(std::span<const uint8_t> data) override { send(data.data(), data.size()); }
	void tls_record_received(uint64_t, std::span<const uint8_t> data) override { take(data.data(), data.size()); }
	void tls_session_established(const TLS::Session_Summary &session) override { set_version(session.version()); }
	Time tls_current_timestamp() override { return read_clock(); }
#else
	void tls_emit_data(const uint8_t data[], size_t len) override { send(data, len); }
	void tls_record_received(uint64_t, const uint8_t data[], size_t len) override { take(data, len); }
	bool tls_session_established(const TLS::Session &session) override
	{
		set_version(session.version());
		return false; // do not keep it
	}
#endif
	void tls_alert(TLS::Alert alert) override
	{
		if (static_cast<int>(alert.type()) == close_notify)
			closed = true;
		else if (alert.is_fatal() && problem.empty())
			problem = "the server's alert: " + alert.type_string();
	}

	void tls_inspect_handshake_msg(const TLS::Handshake_Message &message) override
	{
		greeted = greeted || static_cast<int>(message.type()) == server_hello;
	}

	void tls_verify_cert_chain(const std::vector<X509_Certificate> &chain, const std::vector<Ocsp> &ocsp,
	                           const std::vector<Certificate_Store *> &anchors, Usage_Type usage, Name host,
	                           const TLS::Policy &policy) override
	{
		verified = true;
		try {
			Callbacks::tls_verify_cert_chain(chain, ocsp, anchors, usage, host, policy);
		} catch (const std::exception &error) {
			reject(report, error.what());
			throw;
		}
	}

	kit_conn *conn;
	kit_report *report;
	std::unique_ptr<TLS::Client> client;
	std::string received, problem; // what the server said; why it broke
	bool closed = false, greeted = false, verified = false;

private:
	void take(const uint8_t *data, size_t len) { received.append(reinterpret_cast<const char *>(data), len); }

	void send(const uint8_t *data, size_t len)
	{
		while (len > 0) {
			ssize_t sent = kit_send(conn, data, len);

			if (sent <= 0)
				return; // the next read says why
			data += sent;
			len -= static_cast<size_t>(sent);
		}
	}

	void set_version(TLS::Protocol_Version version) { kit_tls(report, version.version_code()); }
};

// Reads once from the network; false at its end.
bool pump(Session &session)
{
	uint8_t data[16384];
	ssize_t got = kit_recv(session.conn, data, sizeof data);

	if (got > 0)
		session.client->received_data(data, static_cast<size_t>(got));
	else if (session.problem.empty())
		session.problem = got < 0 && session.conn->error ? std::strerror(session.conn->error) : "end of file";
	return got > 0;
}

int tls_read(void *arg, void *data, size_t len)
try {
	auto &session = *static_cast<Session *>(arg);

	while (session.received.empty() && !session.closed)
		if (!pump(session))
			return -1;
	len = std::min(len, session.received.size());
	std::memcpy(data, session.received.data(), len);
	session.received.erase(0, len);
	return static_cast<int>(len);
} catch (const std::exception &error) {
	static_cast<Session *>(arg)->problem = error.what();
	return -1;
}

int tls_write(void *arg, const void *data, size_t len)
try {
	auto &session = *static_cast<Session *>(arg);

	session.client->send(static_cast<const uint8_t *>(data), len);
	return static_cast<int>(len);
} catch (const std::exception &error) {
	static_cast<Session *>(arg)->problem = error.what();
	return -1;
}

// One for the process: it is seeded once.
std::shared_ptr<AutoSeeded_RNG> rng()
{
	static const auto one = std::make_shared<AutoSeeded_RNG>();

	return one;
}

void shake_hands(Session &session)
{
	while (!session.client->is_active() && !session.client->is_closed())
		if (!pump(session))
			break;
}

void converse(const kit_probe *probe, Session &session, const std::shared_ptr<Credentials> &credentials)
{
	const auto policy = std::make_shared<Policy>(kit_option(probe, "revocation-optional"));
	const TLS::Server_Information server(probe->server_name, static_cast<uint16_t>(probe->port));
	const std::shared_ptr<Session> callbacks(&session, [](Session *) {});
	const kit_stream stream = {&session, tls_read, tls_write};

#if BOTAN_VERSION_MAJOR >= 3
	const auto sessions = std::make_shared<TLS::Session_Manager_Noop>();

	session.client = std::make_unique<TLS::Client>(callbacks, sessions, credentials, policy, rng(), server);
#else
	TLS::Session_Manager_Noop sessions;

	session.client.reset(new TLS::Client(session, sessions, *credentials, *policy, *rng(), server));
#endif
	shake_hands(session);
	if (!session.client->is_active()) {
		if (session.report->outcome != KIT_REJECTED)
			kit_fail(session.report, KIT_HANDSHAKE, "", session.problem.c_str());
	} else if (!kit_http(&stream, probe, session.report)) {
		kit_fail(session.report, KIT_HTTP, "", session.problem.c_str());
	} else {
		session.client->close();
	}
	session.client.reset();
}

// What Botan 3 says of a Certificate message with a certificate that it cannot decode.
constexpr char unread[] = "CERTIFICATE decoding failed";

// A handshake that ended with an exception: a rejection has been reported, unless a certificate could not be decoded.
void judge(const Session &session, const char *code, const char *text, bool undecodable)
{
	if (session.report->outcome == KIT_REJECTED)
		return;
	if (undecodable && session.greeted && !session.verified)
		kit_reject(session.report, KIT_HANDSHAKE, KIT_MALFORMED, code, text);
	else
		kit_fail(session.report, KIT_HANDSHAKE, code, text);
}

// What TLS itself says of a certificate before it is verified has no type of its own.
bool says(const std::exception &error, const char *words)
{
	return std::strstr(error.what(), words) != nullptr;
}

void probe(const kit_probe *probe, kit_conn *conn, kit_report *report)
{
	Session session(conn, report);
	const auto credentials = std::make_shared<Credentials>();

	lab_clock = {Time(std::chrono::seconds(probe->time)), true, 0};
	report->outcome = KIT_FAILED;
	try {
		credentials->load(probe->anchors);
		report->stage = KIT_HANDSHAKE;
		if (kit_connect(conn, probe, report))
			converse(probe, session, credentials);
	} catch (const TLS::TLS_Exception &error) {
		const TLS::Alert alert(error.type());

		judge(session, alert.type_string().c_str(), error.what(),
		      says(error, unread) || says(error, "The leaf certificate must be v3"));
		// a key that the policy refuses is looked at after the path
		if (says(error, "bit RSA key, policy requires") && report->outcome != KIT_REJECTED)
			kit_reject(report, KIT_HANDSHAKE, KIT_WEAK, alert.type_string().c_str(), error.what());
	} catch (const std::exception &error) {
		if (report->stage == KIT_HANDSHAKE)
			judge(session, "", error.what(), dynamic_cast<const Decoding_Error *>(&error) != nullptr ||
			                                         dynamic_cast<const Invalid_Argument *>(&error) != nullptr);
		else
			kit_reject(report, KIT_LOAD, KIT_MALFORMED, "", error.what());
	}
	session.client.reset();
	if (lab_clock.reads > 0)
		kit_clock(report, probe->time);
	lab_clock.set = false;
}

bool start()
{
	rng();
	return true;
}

const char *version()
{
	static const std::string text = "Botan " + short_version_string();

	return text.c_str();
}

} // namespace

int main(int argc, char **argv)
{
	static const char *const can[] = {
		"tls1.2",
#if BOTAN_VERSION_MAJOR >= 3
		"tls1.3",
#endif
		nullptr,
	};
	static const char *const options[] = {"revocation-optional", nullptr};
	kit_driver driver = {};

	driver.name = "botan";
	driver.clock = "native";
	driver.can = can;
	driver.options = options;
	driver.version = version;
	driver.start = start;
	driver.probe = probe;
	return kit_main(argc, argv, &driver);
}
