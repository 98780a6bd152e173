// @tus/server with its file store, as its README sets it up: at /files, on ADDRESS and PORT, into FOLDER.
// Without arguments it tells its versions.
import http from 'node:http'
import { readFile } from 'node:fs/promises'
import { FileStore } from '@tus/file-store'
import { Server } from '@tus/server'

const [address, port, directory] = process.argv.slice(2)

if (directory === undefined) {
  const { dependencies } = JSON.parse(await readFile('package.json', 'utf8'))
  console.log(`@tus/server ${dependencies['@tus/server']}, Node ${process.versions.node}`)
} else {
  const server = new Server({ path: '/files', datastore: new FileStore({ directory }) })
  http.createServer((request, response) => server.handle(request, response)).listen(Number(port), address, 4096)
}
