export { layerPlatform, layerRemote as layerTransport } from "./index.ts"
