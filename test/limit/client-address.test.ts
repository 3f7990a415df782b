import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { addressList } from '../../packages/core/src/exchange/client/address-list.ts'
import { clientAddress } from '../../packages/core/src/exchange/client/client-address.ts'

describe('who is the client: notations of one address', () => {
  test.each([
    // IPv4
    ['1.2.3.4', '1.2.3.4'],
    ['1.2.3.4:8080', '1.2.3.4'],
    [' 1.2.3.4 ', '1.2.3.4'],
    ['255.255.255.255', '255.255.255.255'],
    // IPv4-mapped, RFC 4291 §2.5.5.2, in every notation (CVE-2026-30827)
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['::FFFF:1.2.3.4', '1.2.3.4'],
    ['::ffff:102:304', '1.2.3.4'],
    ['::ffff:0102:0304', '1.2.3.4'],
    ['0:0:0:0:0:ffff:1.2.3.4', '1.2.3.4'],
    ['0000:0000:0000:0000:0000:ffff:0102:0304', '1.2.3.4'],
    ['0::ffff:102:304', '1.2.3.4'],
    ['::0:ffff:1.2.3.4', '1.2.3.4'],
    ['[::ffff:1.2.3.4]:443', '1.2.3.4'],
    ['::ffff:1.2.3.4%eth0', '1.2.3.4'],
    // IPv4-translated, RFC 7915
    ['::ffff:0:1.2.3.4', '1.2.3.4'],
    // IPv4-compatible, RFC 4291 §2.5.5.1
    ['::1.2.3.4', '1.2.3.4'],
    ['::102:304', '1.2.3.4'],
    // NAT64, RFC 6052
    ['64:ff9b::1.2.3.4', '1.2.3.4'],
    ['64:ff9b::102:304', '1.2.3.4'],
    ['0064:ff9b:0:0:0:0:102:304', '1.2.3.4'],
    // not NAT64: RFC 8215's local prefix embeds elsewhere
    ['64:ff9b:1::1.2.3.4', '64:ff9b:1::/64'],
    // IPv6 by /64
    ['2001:db8::1', '2001:db8::/64'],
    ['2001:DB8:0:0::FFFF', '2001:db8::/64'],
    ['2001:0db8:0000:0000:0001:0002:0003:0004', '2001:db8::/64'],
    ['2001:db8:0:1::1', '2001:db8:0:1::/64'],
    ['[2001:db8::1]', '2001:db8::/64'],
    ['[2001:db8::1]:8080', '2001:db8::/64'],
    ['"[2001:db8::1]:8080"', '2001:db8::/64'],
    ['::1', '::/64'],
    ['::', '::/64'],
    // zone ids
    ['fe80::1%eth0', 'fe80::/64'],
    ['fe80::1%25en0', 'fe80::/64'],
    ['[fe80::1%lo]:80', 'fe80::/64'],
  ])('%s is %s', (written, canonical) => {
    expect(clientAddress(written)).toBe(canonical)
  })

  test.each([
    [undefined],
    [null as never],
    [42 as never],
    [['1.2.3.4'] as never],
    [''],
    [' '],
    ['unknown'],
    ['_hidden'],
    ['localhost'],
    ['/var/run/app.sock'],
    ['__proto__'],
    ['constructor'],
    ['1.2.3'],
    ['1.2.3.4.5'],
    ['256.1.1.1'],
    ['01.2.3.4'],
    ['0x1.2.3.4'],
    ['16909060'],
    ['1.2.3.4/24'],
    ['1.2.3.4, 5.6.7.8'],
    ['1.2.3.4\r\nX-Evil: 1'],
    ['1.2.3.4\n'.repeat(2)],
    ['1.2.3.4\0'],
    ['１.２.３.４'],
    ['1。2。3。4'],
    ['1.2.3.٤'],
    ['2001:db8::g'],
    ['1::2::3'],
    ['1:2:3:4:5:6:7'],
    ['1:2:3:4:5:6:7:8:9'],
    ['12345::'],
    ['::ffff:1.2.3.04'],
    ['::ffff:0x1.2.3.4'],
    ['::ffff:256.2.3.4'],
    ['[::1'],
    ['[::1]:http'],
    ['[::1]x'],
    ['%eth0'],
    ['1.2.3.4%eth0'],
    ['１'.repeat(20)],
    ['1'.repeat(1_000_000)],
    ['::ffff:'.repeat(200_000)],
    [`${' '.repeat(1_000_000)}1.2.3.4`],
  ])('%.40j is no address', (written) => {
    expect(clientAddress(written)).toBeUndefined()
  })

  test.each([
    [128, '2001:db8:1234:5678:9abc:def0:1:2', '2001:db8:1234:5678:9abc:def0:1:2'],
    [64, '2001:db8:1234:5678:9abc:def0:1:2', '2001:db8:1234:5678::/64'],
    [60, '2001:db8:1234:5678:9abc:def0:1:2', '2001:db8:1234:5670::/60'],
    [56, '2001:db8:1234:5678:9abc:def0:1:2', '2001:db8:1234:5600::/56'],
    [48, '2001:db8:1234:5678:9abc:def0:1:2', '2001:db8:1234::/48'],
    [33, '2001:db8:ffff::', '2001:db8:8000::/33'],
    [32, '2001:db8:1234::', '2001:db8::/32'],
  ])('ipv6Prefix %i', (ipv6Prefix, written, canonical) => {
    expect(clientAddress(written, { ipv6Prefix })).toBe(canonical)
  })

  test('never throws, and is idempotent, whatever it is given', () => {
    const soup = fc.string({ unit: fc.constantFrom(...'0123456789abcdef:.[]%"/ffff'), maxLength: 50 })
    fc.assert(
      fc.property(fc.oneof(soup, fc.string(), fc.ipV4(), fc.ipV6(), fc.ipV4Extended()), (text) => {
        const canonical = clientAddress(text)
        if (canonical !== undefined) expect(clientAddress(canonical.replace(/\/\d+$/, ''))).toBe(canonical)
      }),
      { numRuns: 2_000 },
    )
  })

  test('every IPv4 address is itself, mapped or not', () => {
    fc.assert(
      fc.property(fc.ipV4(), (v4) => {
        expect(clientAddress(v4)).toBe(v4)
        expect(clientAddress(`::ffff:${v4}`)).toBe(v4)
        expect(clientAddress(`64:ff9b::${v4}`)).toBe(v4)
      }),
    )
  })
})

describe('a list of addresses', () => {
  test.each<[string, string, boolean]>([
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.1.2.3/8', '10.9.9.9', true],
    ['192.0.2.7', '192.0.2.7', true],
    ['192.0.2.7', '192.0.2.8', false],
    ['192.0.2.0/31', '192.0.2.1', true],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['::/0', '2001:db8::1', true],
    ['2001:db8::/33', '2001:db8:7fff::1', true],
    ['2001:db8::/33', '2001:db8:8000::1', false],
    ['2001:db8::1', '2001:DB8:0::1%eth0', true],
    ['::ffff:10.0.0.0/104', '10.1.1.1', true],
    ['10.0.0.0/8', '::ffff:a01:203', true],
    ['10.0.0.0/8', '[::ffff:10.0.0.1]:443', true],
  ])('%s has %s: %p', (range, address, expected) => {
    expect(addressList(range).has(address)).toBe(expected)
  })

  test.each(['', 'x', '10.0.0.0/33', '::/129', '10.0.0', '10', '0x0a000001', '10.0.0.0/', '10.0.0.0/8/8', '010.0.0.1'])(
    '%p is refused',
    (range) => {
      expect(() => addressList('192.0.2.1', range)).toThrow(/addressList/)
    },
  )

  test('is added to as a whole or not at all, counts each range once, and forgets what is taken out', () => {
    const list = addressList('10.0.0.0/8', '10.0.0.0/8')
    expect(() => list.add('192.0.2.1', 'x')).toThrow()
    expect([list.size, list.has('192.0.2.1'), list.has(undefined), list.has('nobody')]).toEqual([
      1,
      false,
      false,
      false,
    ])
    list.remove('10.0.0.0/8', '192.0.2.9')
    expect([list.size, list.has('10.0.0.1')]).toEqual([0, false])
  })
})
