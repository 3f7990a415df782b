import type { TagRow } from '../../src/page/contract.ts'
import { count } from '../ui/format.ts'
import { Button, Empty, Section, Text } from '../ui/parts.tsx'
import { Table } from '../ui/table.tsx'
import { invalidate } from './invalidate.tsx'

export function Tags({ tags, mayPurge }: { readonly tags: readonly TagRow[]; readonly mayPurge: boolean }) {
  return (
    <Section id="tags" title="Tags" hint="Names that stored answers share, to be purged together. In the last minutes.">
      {tags.length === 0 ? (
        <Empty>
          No answer with a tag yet. Name one: <code>{"sluice.cache('1m', { tags: ['cities'] })"}</code>
        </Empty>
      ) : (
        <Table
          caption="Tags of the last minutes"
          columns={[
            { name: 'Tag', is: 'name', cell: ({ tag }: TagRow) => <Text of={tag} most={120} /> },
            { name: 'Stored', cell: ({ stored }: TagRow) => count(stored) },
            { name: 'Purged', cell: ({ invalidated }: TagRow) => count(invalidated) },
            ...(mayPurge
              ? [
                  {
                    name: 'Actions',
                    is: 'actions',
                    cell: ({ tag }: TagRow) => (
                      <Button of={`tag ${tag}`} onClick={() => invalidate('tags', tag)}>
                        Purge…
                      </Button>
                    ),
                  } as const,
                ]
              : []),
          ]}
          rows={tags}
          id={({ tag }) => tag}
        />
      )}
    </Section>
  )
}
