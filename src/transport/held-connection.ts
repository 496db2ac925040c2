import type { Socket } from 'node:net';
import { ChannelCredentials } from '@grpc/grpc-js';

type ConnectorParameters = Parameters<ChannelCredentials['_createSecureConnector']>;
type Connector = ReturnType<ChannelCredentials['_createSecureConnector']>;

/**
 * Credentials that do as those they wrap, and keep hold of the sockets that are made with them. Closing a channel of
 * grpc-js leaves a connection on which the other side never said a word as it is, until the kernel gives up: dialing a
 * stopped process would cost one socket an attempt.
 */
export class HeldConnection extends ChannelCredentials {
  readonly #wrapped: ChannelCredentials;
  readonly #sockets = new Set<Socket>();
  #released = false;

  constructor(wrapped: ChannelCredentials) {
    super();
    this.#wrapped = wrapped;
  }

  /** Closes what is open, and at once whatever is opened later. */
  release(): void {
    this.#released = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  override _isSecure(): boolean {
    return this.#wrapped._isSecure();
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(...parameters: ConnectorParameters): Connector {
    const connector = this.#wrapped._createSecureConnector(...parameters);
    return {
      connect: (socket) => {
        this.#hold(socket);
        return connector.connect(socket);
      },
      waitForReady: () => connector.waitForReady(),
      getCallCredentials: () => connector.getCallCredentials(),
      destroy: () => connector.destroy(),
    };
  }

  #hold(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    if (this.#released) socket.destroy();
  }
}
