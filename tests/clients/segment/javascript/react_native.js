// Sends a view and an order with Segment's library for React Native: node react_native.js URL KEY USER
// What only a phone has is replaced: the native modules, and the storage.
const { Module } = require('node:module')

const device = { appName: 'shop', osName: 'iOS', timezone: 'Europe/Berlin' }
const replaced = {
  react: { createContext: () => ({}) },
  'react-native': {
    AppState: { addEventListener: () => ({ remove() {} }) },
    NativeModules: { AnalyticsReactNative: { getContextInfo: async () => device } },
    Platform: { select: (choices) => choices.ios },
  },
}
const load = Module._load
Module._load = (name, ...rest) => replaced[name] ?? load(name, ...rest)
const { createClient } = require('@segment/analytics-react-native')

async function main() {
  const [url, writeKey, userId] = process.argv.slice(2)
  const storage = new Map()
  const client = createClient({
    writeKey,
    proxy: url + '/v1',
    cdnProxy: url + '/v1',
    useSegmentEndpoints: true,
    allowInsecureProxy: true,
    flushAt: 100,
    flushInterval: 0,
    storePersistor: {
      get: async (key) => storage.get(key),
      set: async (key, value) => void storage.set(key, value),
    },
    errorHandler: (error) => {
      console.error(error)
      process.exitCode = 1
    },
  })
  while (!client.isReady.value) await new Promise((resolve) => setTimeout(resolve, 20))
  const product = { product_id: 'p1', price: 10, quantity: 2 }
  await client.identify(userId)
  await client.track('Product Viewed', product)
  await client.track('Order Completed', {
    order_id: 'o-' + userId,
    total: 20,
    currency: 'EUR',
    products: [product],
  })
  await client.flush()
  process.exit()
}

main()
