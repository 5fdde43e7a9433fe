// Storepulse in the pages of a shop; docs/storefront.md says how to use it.
// Served without comments and indentation, which keeps it under 3.5 KB.
((tag, stub) => {
  const set = tag.dataset, mem = {}
  const url = (set.url || new URL(tag.src).origin) + '/v1/'
  let timer, busy, told, fails = 0

  // In localStorage, or in `mem` where that is blocked or full.
  const get = k => {
    try { return k in mem ? mem[k] : localStorage['sp.' + k] } catch {}
  }
  const put = (k, v) => {
    mem[k] = v
    try { localStorage['sp.' + k] = v; delete mem[k] } catch {}
    return v
  }
  const forget = k => {
    delete mem[k]
    try { delete localStorage['sp.' + k] } catch {}
  }
  const load = () => {
    try { return JSON.parse(get('q')) } catch { return [] }
  }
  const save = q => put('q', JSON.stringify(q.slice(-200)))
  const id = () =>
    [...crypto.getRandomValues(new Uint8Array(16))].map(b => (b + 256).toString(16).slice(1)).join('')
  const off = () =>
    navigator.globalPrivacyControl || navigator.doNotTrack == 1 || (get('c') || set.consent) == 'no'

  const device = () => get('v') || put('v', id())
  const add = type => (product, more) => {
    if (off()) return
    const now = Date.now(), q = load()
    let [sid, last] = (get('s') || '').split('.')
    if (!(now - last < 18e5)) sid = id()
    put('s', sid + '.' + now)
    if (typeof product != 'object') product = { product_id: product }
    q.push({
      ...product, ...more,
      event_id: id(), event_type: type, event_time: now,
      anonymous_id: device(), user_id: get('u') || null, session_id: sid,
    })
    save(q)
    const full = q.length > 19
    if (!busy && (!timer || (full && !fails))) later(full ? 0 : 2e3)
  }
  const later = ms => {
    clearTimeout(timer)
    timer = load().length && setTimeout(flush, ms)
  }
  // The n oldest events, or as many as fit into the 64 KB that a page may still send while it closes.
  const pack = (n, q = load().slice(0, n)) => {
    const body = JSON.stringify({ batch: q, sent_at: Date.now(), key: set.key })
    return body.length > 2e4 && q[1] ? pack(q.length >> 1) : [q, body]
  }
  const flush = async () => {
    timer = 0
    const [q, body] = pack(20)
    if (busy || off() || !q[0]) return
    busy = 1
    const r = await fetch(url + 'events', { method: 'POST', body, keepalive: body.length < 2e4 }).catch(() => 0)
    busy = 0
    const s = r.status || 500
    if (s == 408 || s == 429 || s > 499) {
      const wait = r && r.headers.get('Retry-After') * 1e3 || 0
      return later(wait + (1 + Math.random()) * Math.min(3e4, 500 * 2 ** fails++))
    }
    if (s > 299) console.warn('storepulse: ' + s)
    fails = 0
    save(load().filter(e => !q.some(sent => sent.event_id == e.event_id)))
    later(2e3)
  }
  // Nobody says whether a beacon came, so its events stay; they count once however often they are sent.
  const leave = () => {
    const [q, body] = pack(200), last = q[0] && q.at(-1).event_id
    if (last && last != told && !off() && navigator.sendBeacon(url + 'events', body)) told = last
  }

  const api = window.storepulse = {
    view: add('view'),
    cart: add('cart'),
    remove: add('remove_from_cart'),
    favorite: add('favorite'),
    purchase: add('purchase'),
    id: () => off() ? null : get('u') || device(),
    identify: user => {
      if (!user) forget('u')
      else if (!off()) put('u', user)
    },
    consent: yes => {
      if (!yes) [...'uvsq'].map(forget)
      put('c', yes ? 'yes' : 'no')
    },
    // What has happened goes first, so that the answer knows of it. Who may not be tracked gets the shop's.
    recommend: async wanted => {
      if (!fails) await flush()
      const headers = { 'Content-Type': 'application/json' }
      if (set.key) headers.Authorization = 'Bearer ' + set.key
      const body = JSON.stringify({ requests: [{ user_id: off() ? null : device(), ...wanted }] })
      const r = await fetch(url + 'recommendations', { method: 'POST', headers, body })
      if (!r.ok) throw Error('storepulse: ' + r.status)
      return (await r.json()).answers[0]
    },
  }
  for (const [name, ...args] of stub?.q || []) api[name](...args)
  addEventListener('pagehide', leave)
  document.addEventListener('visibilitychange', () => document.hidden && leave())
  later(0)
})(document.currentScript, window.storepulse)
