// A strict authorization server for tests: every refresh token works once, and presenting a used one
// revokes its grant. The protocol is all oidc-provider's; this file configures it and adds the
// control endpoint (/test/…) that stands in for a browser. See ../README.md for the interface.
//
//   [PORT=0] [ACCESS_TTL=60] [TLS='{"key":…,"cert":…,"ca":…}'] node server.mjs ['[{"client_id":…,"client_secret":…,…}]']

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { json } from 'node:stream/consumers';
import { errors, Provider } from 'oidc-provider';

const ACCOUNT = 'test-account';
const SCOPE = 'openid offline_access';
// The one API that tokens can be asked for (RFC 8707), and a scope of it.
const API = 'https://api.example.com/';
const API_SCOPE = 'read';
// As oidc-provider says it.
const REUSED = 'refresh token already used';
const DAY = 24 * 60 * 60;
const DEFAULT_CLIENTS = [
  {
    client_id: 'post-client',
    client_secret: 'post-secret',
    token_endpoint_auth_method: 'client_secret_post',
  },
  {
    client_id: 'basic-client',
    client_secret: 'basic-secret',
    token_endpoint_auth_method: 'client_secret_basic',
  },
  {
    client_id: 'tls-client',
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_san_dns: 'client.example',
  },
];
// RFC 8705, by what the listener with TLS knows of the connection.
const MUTUAL_TLS = {
  enabled: true,
  tlsClientAuth: true,
  getCertificate: (ctx) => ctx.socket.getPeerX509Certificate?.(),
  certificateAuthorized: (ctx) => ctx.socket.authorized === true,
  certificateSubjectMatches: (ctx, property, expected) =>
    property === 'tls_client_auth_san_dns' &&
    ctx.socket.getPeerX509Certificate().subjectAltName === `DNS:${expected}`,
};

// Its tokens are JWTs that say for whom they are.
const RESOURCES = {
  enabled: true,
  defaultResource: () => undefined,
  getResourceServerInfo: (_ctx, resource) => {
    if (resource !== API) throw new errors.InvalidTarget();
    return {
      accessTokenFormat: 'jwt',
      accessTokenTTL: accessTtl,
      audience: resource,
      jwt: { sign: { alg: 'ES256' } },
      scope: API_SCOPE,
    };
  },
};

const port = Number(process.env.PORT ?? 0);
const accessTtl = Number(process.env.ACCESS_TTL ?? 60);
// PEM of the server, and the authority of its clients.
const tls = process.env.TLS ? JSON.parse(process.env.TLS) : undefined;
const clients = process.argv[2] ? JSON.parse(process.argv[2]) : DEFAULT_CLIENTS;

// oidc-provider's own in-memory adapter forgets tokens beyond the thousandth; this one keeps all.
const store = new Map();

class MemoryAdapter {
  constructor(model) {
    this.model = model;
  }

  key(id) {
    return `${this.model}:${id}`;
  }

  async upsert(id, payload) {
    store.set(this.key(id), payload);
  }

  async find(id) {
    return store.get(this.key(id));
  }

  // Two requests with one token may both have found it unused. The second is then a reuse like any other.
  async consume(id) {
    const payload = store.get(this.key(id));
    if (!payload) throw new errors.InvalidGrant('refresh token not found');
    if (payload.consumed) {
      endGrant(payload.grantId);
      throw new errors.InvalidGrant(REUSED);
    }
    payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    store.delete(this.key(id));
  }

  async revokeByGrantId(grantId) {
    for (const [key, payload] of store) {
      if (payload.grantId === grantId && key.startsWith(`${this.model}:`)) store.delete(key);
    }
  }
}

function endGrant(grantId) {
  store.delete(`Grant:${grantId}`);
  for (const [key, payload] of store) if (payload.grantId === grantId) store.delete(key);
}

function newProvider(issuer) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return new Provider(issuer, {
    adapter: MemoryAdapter,
    clients,
    clientDefaults: {
      grant_types: ['refresh_token'],
      id_token_signed_response_alg: 'ES256',
      redirect_uris: [],
      response_types: [],
    },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    clientAuthMethods: [
      'client_secret_basic',
      'client_secret_post',
      'client_secret_jwt',
      'private_key_jwt',
      'tls_client_auth',
      'none',
    ],
    enabledJWA: { clientAuthSigningAlgValues: ['HS256', 'ES256', 'ES512', 'EdDSA'] },
    features: {
      devInteractions: { enabled: false },
      mTLS: MUTUAL_TLS,
      resourceIndicators: RESOURCES,
      revocation: { enabled: true },
    },
    findAccount: (_ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    jwks: { keys: [privateKey.export({ format: 'jwk' })] },
    rotateRefreshToken: true,
    ttl: { AccessToken: accessTtl, Grant: 14 * DAY, IdToken: accessTtl, RefreshToken: 14 * DAY },
  });
}

// oidc-provider takes Basic and form credentials from either kind of client; a strict server does not.
function enforceAuthMethod(provider) {
  const client = provider.Client.prototype;
  const { compareClientSecret } = client;
  client.compareClientSecret = function compare(secret) {
    const sent = Provider.ctx.get('authorization') ? 'client_secret_basic' : 'client_secret_post';
    return this.tokenEndpointAuthMethod === sent && compareClientSecret.call(this, secret);
  };
}

function count(provider) {
  const stats = { token_requests: 0, refresh_exchanges: 0, reuses: 0 };
  provider.use(async (ctx, next) => {
    if (ctx.method === 'POST' && ctx.path === '/token') stats.token_requests += 1;
    await next();
  });
  provider.on('grant.success', (ctx) => {
    if (ctx.oidc.params.grant_type === 'refresh_token') stats.refresh_exchanges += 1;
  });
  provider.on('grant.error', (_ctx, error) => {
    if (error.error_detail === REUSED) stats.reuses += 1;
  });
  return stats;
}

function controlRoutes(provider, stats) {
  return {
    // What a browser and a person would have ended with: a grant and its first refresh token, good for the API too.
    'POST /test/seed': async ({ client_id: clientId }) => {
      const client = await provider.Client.find(clientId);
      if (!client) throw new Error(`no such client: ${clientId}`);
      const grant = new provider.Grant({ accountId: ACCOUNT, clientId });
      grant.addOIDCScope(SCOPE);
      grant.addResourceScope(API, API_SCOPE);
      const token = new provider.RefreshToken({
        accountId: ACCOUNT,
        client,
        grantId: await grant.save(),
        gty: 'authorization_code',
        resource: API,
        scope: `${SCOPE} ${API_SCOPE}`,
      });
      return { refresh_token: await token.save() };
    },
    // `consumed` is null for a token the server does not hold: never issued, or its grant revoked.
    'POST /test/inspect': async ({ refresh_token: value }) => {
      const token = await provider.RefreshToken.find(value);
      const granted = token && (await provider.Grant.find(token.grantId));
      return {
        live: Boolean(granted && token.isValid),
        consumed: token ? Boolean(token.consumed) : null,
      };
    },
    // Of the same grant, issued last: the store keeps the order. Null when the grant is gone.
    'POST /test/newest': async ({ refresh_token: value }) => {
      const grantId = (await provider.RefreshToken.find(value))?.grantId;
      if (!(await provider.Grant.find(grantId))) return { refresh_token: null };
      const ofGrant = (payload) => payload.kind === 'RefreshToken' && payload.grantId === grantId;
      return { refresh_token: [...store.values()].findLast(ofGrant).jti };
    },
    'GET /test/stats': async () => stats,
  };
}

async function control(routes, req, res) {
  const answer = (status, body) => {
    res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const route = routes[`${req.method} ${req.url}`];
  if (!route) {
    answer(404, { error: `no such route: ${req.method} ${req.url}` });
    return;
  }
  try {
    answer(200, await route(req.method === 'POST' ? await json(req) : undefined));
  } catch (error) {
    answer(400, { error: error.message });
  }
}

const server = createServer();
server.listen(port, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = newProvider(issuer);
  enforceAuthMethod(provider);
  const routes = controlRoutes(provider, count(provider));
  const protocol = provider.callback();
  server.on('request', (req, res) => {
    if (req.url.startsWith('/test/')) control(routes, req, res);
    else protocol(req, res);
  });
  if (!tls) {
    console.log(JSON.stringify({ issuer }));
    return;
  }
  const options = { ...tls, requestCert: true, rejectUnauthorized: false };
  const tlsServer = createTlsServer(options, protocol);
  tlsServer.listen(0, '127.0.0.1', () => {
    console.log(JSON.stringify({ issuer, tls_port: tlsServer.address().port }));
  });
});
