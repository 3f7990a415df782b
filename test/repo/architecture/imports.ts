import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative, sep } from 'node:path'
import { parseSync } from '@swc/core'

/** A source file as the architecture sees it. Paths are relative to the root of the tree, with forward slashes. */
export interface SourceFile {
  path: string
  lines: number
  imports: Import[]
}

export interface Import {
  specifier: string
  /** The file a relative specifier leads to. */
  target: string | undefined
}

/** The source files below `packages/<name>/src` of a tree. */
export function readSources(root: string): SourceFile[] {
  return packageFolders(root).flatMap((name) => {
    const src = join(root, 'packages', name, 'src')
    return readdirSync(src, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.[cm]?tsx?$/.test(entry.name))
      .map((entry) => readSource(root, join(entry.parentPath, entry.name)))
  })
}

/** The names of the folders below packages/ that hold a package. */
export function packageFolders(root: string): string[] {
  return readdirSync(join(root, 'packages'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && readdirSync(join(root, 'packages', entry.name)).includes('package.json'))
    .map(({ name }) => name)
}

function readSource(root: string, file: string): SourceFile {
  const text = readFileSync(file, 'utf8')
  const path = relative(root, file).split(sep).join('/')
  const imports = specifiersOf(text).map((specifier) => ({
    specifier,
    target: specifier.startsWith('.') ? posix.normalize(posix.join(dirname(path), specifier)) : undefined,
  }))
  return { path, lines: text.trimEnd().split('\n').length, imports }
}

/**
 * Everything a module names as a module: import and export statements (types too), `import()` as an expression and
 * as a type, `require()`. Read from the syntax tree, so that a comment or a string does not count.
 */
export function specifiersOf(text: string): string[] {
  const found = new Set<string>()
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    const specifier = specifierIn(node as Node)
    if (specifier !== undefined) found.add(specifier)
    for (const child of Object.values(node)) visit(child)
  }
  visit(parseSync(text, { syntax: 'typescript', decorators: true, target: 'es2022' }))
  return [...found]
}

type Node = Record<string, unknown> & { type?: string }

function specifierIn(node: Node): string | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
      return literal(node.source)
    case 'TsImportType':
      return literal(node.argument)
    case 'TsExternalModuleReference':
      return literal(node.expression)
    case 'CallExpression': {
      const callee = node.callee as Node
      const loads = callee.type === 'Import' || (callee.type === 'Identifier' && callee.value === 'require')
      const [first] = node.arguments as { expression: unknown }[]
      return loads ? literal(first?.expression) : undefined
    }
    default:
      return undefined
  }
}

function literal(node: unknown): string | undefined {
  const { type, value } = (node ?? {}) as Node
  return type === 'StringLiteral' && typeof value === 'string' ? value : undefined
}
