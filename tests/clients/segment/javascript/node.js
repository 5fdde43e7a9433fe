// Sends a view and an order with Segment's library for Node: node node.js URL KEY USER
const { Analytics } = require('@segment/analytics-node')

const [host, writeKey, userId] = process.argv.slice(2)
const analytics = new Analytics({ host, writeKey })
const product = { product_id: 'p1', price: 10, quantity: 2 }
analytics.on('error', (error) => {
  console.error(error)
  process.exitCode = 1
})
analytics.track({ userId, event: 'Product Viewed', properties: product })
analytics.track({
  userId,
  event: 'Order Completed',
  properties: { order_id: 'o-' + userId, total: 20, currency: 'EUR', products: [product] },
})
analytics.closeAndFlush({ timeout: 20_000 })
